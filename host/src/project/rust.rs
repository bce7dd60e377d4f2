//! Rust: cargo, for `wasm32-unknown-unknown` with `wasm-component-ld`, which writes components.

use std::fs;

use super::{Error, Project, Result, World, at, read, tool, write};

const CARGO: tool::Tool = tool::Tool { names: &["cargo"], install: "see https://rustup.rs" };

const TARGET: &str = "wasm32-unknown-unknown";

/// The crate `nova-guest`, which a dynamic project names as `path = ".nova/nova-guest"`.
pub(super) const SDK: &[(&str, &str)] = &[
    ("src/arguments.rs", include_str!("../../../guest-sdk/src/arguments.rs")),
    ("src/arguments/mistake.rs", include_str!("../../../guest-sdk/src/arguments/mistake.rs")),
    ("src/arguments/parts.rs", include_str!("../../../guest-sdk/src/arguments/parts.rs")),
    ("src/arguments/value.rs", include_str!("../../../guest-sdk/src/arguments/value.rs")),
    ("src/bindings.rs", include_str!("../../../guest-sdk/src/bindings.rs")),
    ("src/call.rs", include_str!("../../../guest-sdk/src/call.rs")),
    ("src/component.rs", include_str!("../../../guest-sdk/src/component.rs")),
    ("src/config.rs", include_str!("../../../guest-sdk/src/config.rs")),
    ("src/failure.rs", include_str!("../../../guest-sdk/src/failure.rs")),
    ("src/handler.rs", include_str!("../../../guest-sdk/src/handler.rs")),
    ("src/http.rs", include_str!("../../../guest-sdk/src/http.rs")),
    ("src/imports.rs", include_str!("../../../guest-sdk/src/imports.rs")),
    ("src/imports/host.rs", include_str!("../../../guest-sdk/src/imports/host.rs")),
    ("src/imports/http.rs", include_str!("../../../guest-sdk/src/imports/http.rs")),
    ("src/imports/native.rs", include_str!("../../../guest-sdk/src/imports/native.rs")),
    ("src/imports/trace.rs", include_str!("../../../guest-sdk/src/imports/trace.rs")),
    ("src/info.rs", include_str!("../../../guest-sdk/src/info.rs")),
    ("src/keyvalue.rs", include_str!("../../../guest-sdk/src/keyvalue.rs")),
    ("src/lib.rs", include_str!("../../../guest-sdk/src/lib.rs")),
    ("src/log.rs", include_str!("../../../guest-sdk/src/log.rs")),
    ("src/memory.rs", include_str!("../../../guest-sdk/src/memory.rs")),
    ("src/random.rs", include_str!("../../../guest-sdk/src/random.rs")),
    ("src/rpc.rs", include_str!("../../../guest-sdk/src/rpc.rs")),
    ("src/testing.rs", include_str!("../../../guest-sdk/src/testing.rs")),
    ("src/trace.rs", include_str!("../../../guest-sdk/src/trace.rs")),
    ("wit/http.wit", include_str!("../../../guest-sdk/wit/http.wit")),
    ("wit/random.wit", include_str!("../../../guest-sdk/wit/random.wit")),
];

/// Its manifest, outside of this repository.
const MANIFEST: &str = include_str!("templates/nova-guest.toml");

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    if !world.typed {
        sdk(project)?;
    }
    let built = project.directory().join(".nova/target");
    let mut command = CARGO.command(project.directory(), None)?;
    command.args(["build", "--release", "--target", TARGET, "--target-dir"]).arg(&built);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld");
    // Of a cargo that may have started us: meant for its own crates.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    tool::run(&mut command)?;
    let folder = built.join(TARGET).join("release");
    let files = fs::read_dir(&folder).map_err(at(&folder))?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut components = files.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    match (components.next(), components.next()) {
        (Some(path), None) => read(&path),
        (None, _) => Err(Error::Project("Cargo.toml: no library with crate-type = [\"cdylib\"]".to_owned())),
        _ => Err(Error::Project(format!("several components in {}: remove that folder", folder.display()))),
    }
}

/// Writes the crate `nova-guest`. Its path to the WIT is the one that it has here.
pub(super) fn sdk(project: &Project) -> Result<()> {
    let folder = project.directory().join(".nova/nova-guest");
    write(&folder.join("Cargo.toml"), MANIFEST)?;
    for (name, text) in SDK {
        write(&folder.join(name), text)?;
    }
    Ok(())
}
