//! C: zig's clang and libc, and bindings by wit-bindgen.

use std::{fs, path::PathBuf};

use super::{Error, Project, Result, World, at, component, read, tool, write};

const ZIG: tool::Tool = tool::Tool { names: &["zig", "python-zig"], install: "pip install ziglang==0.17.1" };

/// What a dynamic project includes.
pub(super) const SDK: [(&str, &str); 15] = [
    ("nova.h", include_str!("../../../guest-sdk/c/nova.h")),
    ("nova.c", include_str!("../../../guest-sdk/c/nova.c")),
    ("nova_config.h", include_str!("../../../guest-sdk/c/nova_config.h")),
    ("nova_config.c", include_str!("../../../guest-sdk/c/nova_config.c")),
    ("nova_http.h", include_str!("../../../guest-sdk/c/nova_http.h")),
    ("nova_http.c", include_str!("../../../guest-sdk/c/nova_http.c")),
    ("nova_json.h", include_str!("../../../guest-sdk/c/nova_json.h")),
    ("nova_json.c", include_str!("../../../guest-sdk/c/nova_json.c")),
    ("nova_keyvalue.h", include_str!("../../../guest-sdk/c/nova_keyvalue.h")),
    ("nova_keyvalue.c", include_str!("../../../guest-sdk/c/nova_keyvalue.c")),
    ("nova_rpc.h", include_str!("../../../guest-sdk/c/nova_rpc.h")),
    ("nova_rpc.c", include_str!("../../../guest-sdk/c/nova_rpc.c")),
    ("nova_trace.h", include_str!("../../../guest-sdk/c/nova_trace.h")),
    ("nova_trace.c", include_str!("../../../guest-sdk/c/nova_trace.c")),
    ("nova_valid.c", include_str!("../../../guest-sdk/c/nova_valid.c")),
];

/// The stack in linear memory: zig's own default is 16 MiB of every instance.
const STACK: &str = "-Wl,-z,stack-size=262144";

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("c")?;
    let mut resolve = world.resolve.clone();
    let mut files = wit_bindgen_core::Files::default();
    let generated = wit_bindgen_c::Opts::default().build().generate(&mut resolve, world.id, &mut files);
    generated.map_err(|error| Error::Wit(format!("{error:#}")))?;
    let mut sources = sources(project)?;
    for (name, content) in files.iter() {
        let path = folder.join(name);
        write(&path, content)?;
        if !name.ends_with(".h") {
            sources.push(path);
        }
    }
    for (name, text) in SDK.into_iter().filter(|_| !world.typed) {
        let path = folder.join(name);
        write(&path, text)?;
        if name.ends_with(".c") {
            sources.push(path);
        }
    }
    let built = folder.join("core.wasm");
    let mut command = ZIG.command(project.directory(), None)?;
    command.args(["cc", "--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-flto", STACK]);
    command.args(["-Wl,--strip-debug", "-std=c17", "-Wall", "-I", ".nova/c", "-I", "."]);
    command.args(&sources).arg("-o").arg(&built);
    tool::run(&mut command)?;
    component::encode(&read(&built)?)
}

/// The project's own sources, in its top folder.
fn sources(project: &Project) -> Result<Vec<PathBuf>> {
    let folder = project.directory();
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sources: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    sources.sort();
    Ok(sources)
}
