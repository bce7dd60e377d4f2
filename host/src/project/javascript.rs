//! JavaScript and TypeScript: componentize-qjs takes QuickJS and the project into one component.

mod typed;

use std::{fs, path::Path};

use super::{Error, Project, Result, World, at, component, read, tool, wit, write};

const COMPONENTIZE: tool::Tool =
    tool::Tool { names: &["componentize-qjs"], install: "npm install --save-dev componentize-qjs@0.4.5" };

const TYPESCRIPT: tool::Tool = tool::Tool { names: &["tsc"], install: "npm install --save-dev typescript@5" };

/// What a project imports as `nova`; it has to be where JavaScript looks for packages.
pub(super) const SDK: [(&str, &str); 16] = [
    ("package.json", include_str!("../../../guest-sdk/js/package.json")),
    ("index.js", include_str!("../../../guest-sdk/js/index.js")),
    ("index.d.ts", include_str!("../../../guest-sdk/js/index.d.ts")),
    ("config.js", include_str!("../../../guest-sdk/js/config.js")),
    ("config.d.ts", include_str!("../../../guest-sdk/js/config.d.ts")),
    ("declined.js", include_str!("../../../guest-sdk/js/declined.js")),
    ("failure.js", include_str!("../../../guest-sdk/js/failure.js")),
    ("http.js", include_str!("../../../guest-sdk/js/http.js")),
    ("http.d.ts", include_str!("../../../guest-sdk/js/http.d.ts")),
    ("json.js", include_str!("../../../guest-sdk/js/json.js")),
    ("keyvalue.js", include_str!("../../../guest-sdk/js/keyvalue.js")),
    ("keyvalue.d.ts", include_str!("../../../guest-sdk/js/keyvalue.d.ts")),
    ("rpc.js", include_str!("../../../guest-sdk/js/rpc.js")),
    ("rpc.d.ts", include_str!("../../../guest-sdk/js/rpc.d.ts")),
    ("trace.js", include_str!("../../../guest-sdk/js/trace.js")),
    ("trace.d.ts", include_str!("../../../guest-sdk/js/trace.d.ts")),
];

/// The interfaces that it imports where the world does, with its module for each, and the setting that grants it.
const IMPORTS: [(&str, &str, &str, &str); 6] = [
    ("client", "nova:rpc/client@0.1.0", "nova/rpc", "rpc = [\"TOPIC.METHOD\"]"),
    ("config", "nova:rpc/config@0.1.0", "nova/config", ""),
    ("keyvalue", "nova:rpc/keyvalue@0.1.0", "nova/keyvalue", "keyvalue = true"),
    ("trace", "nova:rpc/trace@0.1.0", "nova/trace", ""),
    ("outgoing", "wasi:http/outgoing-handler@0.2.0", "nova/http", "http = [\"https://HOST\"]"),
    ("types", "wasi:http/types@0.2.0", "nova/http", "http = [\"https://HOST\"]"),
];

/// The name of WASI while the tool runs, where a world has more of WASI than the tool's own runtime: it runs the modules
/// on the part that it knows, and cannot join what it does not know to it. What has another name it leaves alone. As long
/// as the real one, which is put back in place.
const ALIAS: &str = "w4si:";

/// What the component is made of, where it is dynamic.
const ENTRY: &str = include_str!("../../../guest-sdk/js/entry.js");

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("js")?;
    let sdk = project.directory().join("node_modules/nova");
    for (name, text) in SDK {
        write(&sdk.join(name), text)?;
    }
    for (file, interface, module, grant) in IMPORTS {
        let import = import(project, world, interface, module, grant);
        write(&sdk.join("imports").join(format!("{file}.js")), import)?;
    }
    let is_aliased = world.import(wit::OUTGOING).is_some();
    if is_aliased {
        alias(&project.directory().join(".nova/wit"))?;
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
    let start = if world.typed { typed::entry(world, app) } else { ENTRY.replace("APP", app) };
    write(&folder.join("entry.js"), start)?;
    let built = folder.join("built.wasm");
    let mut command = COMPONENTIZE.command(project.directory(), Some(&tools))?;
    command.args(["--wit", ".nova/wit", "--world", &world.name, "--js", ".nova/js/entry.js", "--module-root", "."]);
    // Without component-model async. WASI stays, for `Date`.
    command.args(["--sync", "--output"]).arg(&built);
    tool::run(&mut command)?;
    let component = read(&built)?;
    if is_aliased { component::rename_imports(component, ALIAS, wit::WASI) } else { Ok(component) }
}

/// Gives WASI its other name in all the files of a folder.
fn alias(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_dir() {
            alias(&path)?;
        } else {
            write(&path, String::from_utf8_lossy(&read(&path)?).replace(wit::WASI, ALIAS))?;
        }
    }
    Ok(())
}

/// The module by which the SDK imports an interface. Where it is not there, it says what to do about it: modules run when the
/// component is built.
fn import(project: &Project, world: &World, interface: &str, module: &str, grant: &str) -> String {
    if let Some(name) = interface.split('@').next().and_then(|name| world.import(name)) {
        return format!("export {{ default }} from \"{}\";\n", name.replace(wit::WASI, ALIAS));
    }
    let todo = match world.typed {
        true => format!("needs the world in wit/ to import {interface}"),
        false if grant.is_empty() => {
            "is not imported: no file of the project has the words nova and trace, by which build knows that it is used"
                .to_owned()
        }
        false => format!("takes a grant: write [grants] and {grant} into {}.toml", project.name()),
    };
    let words = serde_json::Value::from(format!("{module} {todo}"));
    format!("throw new Error({words});\nexport default null;\n")
}
