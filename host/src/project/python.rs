//! Python: componentize-py takes CPython and the project into one component, and runs the modules' top level.

use super::{Project, Result, World, read, tool, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-py"], install: "pip install componentize-py==0.25.1" };

/// The package that a project imports, and what a component is made of, where it is dynamic.
pub(super) const SDK: [(&str, &str); 11] = [
    ("nova/__init__.py", include_str!("../../../guest-sdk/python/nova/__init__.py")),
    ("nova/_declined.py", include_str!("../../../guest-sdk/python/nova/_declined.py")),
    ("nova/_errno.py", include_str!("../../../guest-sdk/python/nova/_errno.py")),
    ("nova/_failures.py", include_str!("../../../guest-sdk/python/nova/_failures.py")),
    ("nova/config.py", include_str!("../../../guest-sdk/python/nova/config.py")),
    ("nova/http.py", include_str!("../../../guest-sdk/python/nova/http.py")),
    ("nova/keyvalue.py", include_str!("../../../guest-sdk/python/nova/keyvalue.py")),
    ("nova/rpc.py", include_str!("../../../guest-sdk/python/nova/rpc.py")),
    ("nova/trace.py", include_str!("../../../guest-sdk/python/nova/trace.py")),
    ("nova_entry.py", include_str!("../../../guest-sdk/python/nova_entry.py")),
    ("nova_typed.py", include_str!("../../../guest-sdk/python/nova_typed.py")),
];

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("python")?;
    for (name, text) in SDK {
        write(&folder.join(name), text)?;
    }
    let built = folder.join("built.wasm");
    let mut command = COMPONENTIZE.command(project.directory(), None)?;
    command.args(["--wit-path", ".nova/wit", "--world", &world.name, "componentize"]);
    command.arg(if world.typed { "nova_typed" } else { "nova_entry" });
    command.args(["--python-path", ".nova/python", "--python-path", ".", "--output"]).arg(&built);
    // Bytecode of the guest's Python is of no use to the project's.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    tool::run(&mut command)?;
    read(&built)
}
