//! Python: componentize-py takes CPython and the project into one component, and runs the modules' top level.

use super::{Project, Result, World, oslo::PACKAGES, read, tool, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-py"], install: "pip install componentize-py==0.25.1" };

/// The package that a project imports, and what a component is made of, where it is dynamic.
pub(super) const SDK: [(&str, &str); 20] = [
    ("nova/__init__.py", include_str!("../../../guest-sdk/python/nova/__init__.py")),
    ("nova/config.py", include_str!("../../../guest-sdk/python/nova/config.py")),
    ("nova/endpoints.py", include_str!("../../../guest-sdk/python/nova/endpoints.py")),
    ("nova/http.py", include_str!("../../../guest-sdk/python/nova/http.py")),
    ("nova/keyvalue.py", include_str!("../../../guest-sdk/python/nova/keyvalue.py")),
    ("nova/rpc.py", include_str!("../../../guest-sdk/python/nova/rpc.py")),
    ("nova/trace.py", include_str!("../../../guest-sdk/python/nova/trace.py")),
    ("nova_guest/__init__.py", include_str!("../../../guest-sdk/python/nova_guest/__init__.py")),
    ("nova_guest/_declined.py", include_str!("../../../guest-sdk/python/nova_guest/_declined.py")),
    ("nova_guest/_errno.py", include_str!("../../../guest-sdk/python/nova_guest/_errno.py")),
    ("nova_guest/_failures.py", include_str!("../../../guest-sdk/python/nova_guest/_failures.py")),
    ("nova_guest/_primitive.py", include_str!("../../../guest-sdk/python/nova_guest/_primitive.py")),
    ("nova_guest/config.py", include_str!("../../../guest-sdk/python/nova_guest/config.py")),
    ("nova_guest/endpoints.py", include_str!("../../../guest-sdk/python/nova_guest/endpoints.py")),
    ("nova_guest/http.py", include_str!("../../../guest-sdk/python/nova_guest/http.py")),
    ("nova_guest/keyvalue.py", include_str!("../../../guest-sdk/python/nova_guest/keyvalue.py")),
    ("nova_guest/rpc.py", include_str!("../../../guest-sdk/python/nova_guest/rpc.py")),
    ("nova_guest/trace.py", include_str!("../../../guest-sdk/python/nova_guest/trace.py")),
    ("nova_entry.py", include_str!("../../../guest-sdk/python/nova_entry.py")),
    ("nova_typed.py", include_str!("../../../guest-sdk/python/nova_typed.py")),
];

/// The folder of the SDK's short name, which a project may need for itself.
const SHORT: &str = "nova/";

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("python")?;
    let own = ["nova", "nova.py"].iter().any(|name| project.directory().join(name).exists());
    for (name, text) in SDK.iter().chain(&PACKAGES).filter(|(name, _)| !(own && name.starts_with(SHORT))) {
        write(&folder.join(name), text)?;
    }
    let built = folder.join("built.wasm");
    let mut command = COMPONENTIZE.command(project.directory(), None)?;
    command.args(["--wit-path", ".nova/wit", "--world", &world.name, "componentize"]);
    command.arg(if world.typed { "nova_typed" } else { "nova_entry" });
    // What the project brings along comes before the packages that stand in for oslo's.
    command.args(["--python-path", ".nova/python", "--python-path", ".", "--python-path", ".nova/python/oslo"]);
    command.arg("--output").arg(&built);
    // Bytecode of the guest's Python is of no use to the project's.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    tool::run(&mut command)?;
    read(&built)
}
