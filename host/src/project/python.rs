//! Python: componentize-py takes CPython and the project into one component, and runs the modules' top level.

use super::{Project, Result, World, read, tool, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-py"], install: "pip install componentize-py==0.25.1" };

/// What a dynamic project imports.
const SDK: &str = include_str!("../../../guest-sdk/python/nova.py");

/// What the component is made of, where it is dynamic.
const ENTRY: &str = include_str!("../../../guest-sdk/python/nova_entry.py");

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("python")?;
    write(&folder.join("nova.py"), SDK)?;
    write(&folder.join("nova_entry.py"), ENTRY)?;
    let built = folder.join("built.wasm");
    let mut command = COMPONENTIZE.command(project.directory(), None)?;
    command.args(["--wit-path", ".nova/wit", "--world", &world.name, "componentize"]);
    command.arg(if world.typed { "app" } else { "nova_entry" });
    command.args(["--python-path", ".nova/python", "--python-path", ".", "--output"]).arg(&built);
    // Bytecode of the guest's Python is of no use to the project's.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    tool::run(&mut command)?;
    read(&built)
}
