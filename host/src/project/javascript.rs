//! JavaScript and TypeScript: componentize-qjs takes QuickJS and the project into one component.

use super::{Error, Project, Result, World, read, tool, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-qjs"], install: "npm install --save-dev componentize-qjs@0.4.5" };

const TYPESCRIPT: tool::Tool = tool::Tool { names: &["tsc"], install: "npm install --save-dev typescript@5" };

/// What a project imports as `nova`; it has to be where JavaScript looks for packages.
pub(super) const SDK: [(&str, &str); 9] = [
    ("package.json", include_str!("../../../guest-sdk/js/package.json")),
    ("index.js", include_str!("../../../guest-sdk/js/index.js")),
    ("index.d.ts", include_str!("../../../guest-sdk/js/index.d.ts")),
    ("config.js", include_str!("../../../guest-sdk/js/config.js")),
    ("config.d.ts", include_str!("../../../guest-sdk/js/config.d.ts")),
    ("keyvalue.js", include_str!("../../../guest-sdk/js/keyvalue.js")),
    ("keyvalue.d.ts", include_str!("../../../guest-sdk/js/keyvalue.d.ts")),
    ("rpc.js", include_str!("../../../guest-sdk/js/rpc.js")),
    ("rpc.d.ts", include_str!("../../../guest-sdk/js/rpc.d.ts")),
];

/// The interfaces that it imports where the world does, with its module for each, and the setting that grants it.
const IMPORTS: [(&str, &str, &str); 3] = [
    ("client", "nova/rpc", "rpc = [\"TOPIC.METHOD\"]"),
    ("config", "nova/config", ""),
    ("keyvalue", "nova/keyvalue", "keyvalue = true"),
];

/// What the component is made of, where it is dynamic.
const ENTRY: &str = include_str!("../../../guest-sdk/js/entry.js");

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("js")?;
    let sdk = project.directory().join("node_modules/nova");
    for (name, text) in SDK {
        write(&sdk.join(name), text)?;
    }
    for (interface, module, grant) in IMPORTS {
        let import = import(project, world, interface, module, grant);
        write(&sdk.join("imports").join(format!("{interface}.js")), import)?;
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

/// The module by which the SDK imports an interface. Where it is not there, it says what to do about it: modules run when the
/// component is built.
fn import(project: &Project, world: &World, interface: &str, module: &str, grant: &str) -> String {
    if world.imports(&format!("nova:rpc/{interface}")) {
        return format!("export {{ default }} from \"nova:rpc/{interface}@0.1.0\";\n");
    }
    let todo = match world.typed {
        true => format!("needs the world in wit/ to import nova:rpc/{interface}@0.1.0"),
        false => format!("takes a grant: write [grants] and {grant} into {}.toml", project.name()),
    };
    let words = serde_json::Value::from(format!("{module} {todo}"));
    format!("throw new Error({words});\nexport default null;\n")
}
