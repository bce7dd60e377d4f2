//! JavaScript and TypeScript: componentize-qjs takes QuickJS and the project into one component.

use super::{Error, Project, Result, World, read, tool, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-qjs"], install: "npm install --save-dev componentize-qjs@0.4.5" };

const TYPESCRIPT: tool::Tool = tool::Tool { names: &["tsc"], install: "npm install --save-dev typescript@5" };

/// What a project imports as `nova`; it has to be where JavaScript looks for packages.
const SDK: [(&str, &str); 3] = [
    ("package.json", include_str!("../../../guest-sdk/js/package.json")),
    ("index.js", include_str!("../../../guest-sdk/js/index.js")),
    ("index.d.ts", include_str!("../../../guest-sdk/js/index.d.ts")),
];

/// What the component is made of, where it is dynamic.
const ENTRY: &str = include_str!("../../../guest-sdk/js/entry.js");

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("js")?;
    for (name, text) in SDK {
        write(&project.directory().join("node_modules/nova").join(name), text)?;
    }
    let tools = project.directory().join("node_modules/.bin");
    let app = if project.directory().join("app.ts").is_file() {
        let mut command = TYPESCRIPT.command(project.directory(), Some(&tools))?;
        command.args(["--outDir", ".nova/js", "--target", "es2022", "--module", "es2022"]);
        command.args(["--moduleResolution", "bundler", "--strict", "--skipLibCheck", "app.ts"]);
        tool::run(&mut command)?;
        "./app.js"
    } else if project.directory().join("app.js").is_file() {
        "../../app.js"
    } else {
        return Err(Error::Project("there is neither app.js nor app.ts".to_owned()));
    };
    let start = if world.typed { format!("export * from \"{app}\";\n") } else { ENTRY.replace("APP", app) };
    write(&folder.join("entry.js"), start)?;
    let built = folder.join("built.wasm");
    let mut command = COMPONENTIZE.command(project.directory(), Some(&tools))?;
    command.args(["--wit", ".nova/wit", "--world", &world.name, "--js", ".nova/js/entry.js", "--module-root", "."]);
    // Without component-model async. WASI stays, for `Date`.
    command.args(["--sync", "--output"]).arg(&built);
    tool::run(&mut command)?;
    read(&built)
}
