//! What a project is, and that this program carries all that one needs.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

fn scratch(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(folder.path().join(file), "").unwrap();
    }
    folder
}

fn opened(files: &[&str]) -> Result<Language> {
    Project::open(scratch(files).path()).map(|project| project.language)
}

/// The files below a folder of the repository, with `/`.
fn files(folder: &str) -> BTreeSet<String> {
    fn collect(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => collect(&entry.path(), &format!("{name}/"), found),
                false => drop(found.insert(name)),
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), "", &mut found);
    found
}

#[test]
fn a_project_is_known_by_one_file() {
    assert_eq!(opened(&["Cargo.toml", "lib.rs"]).unwrap(), Language::Rust);
    assert_eq!(opened(&["app.py", "pyproject.toml"]).unwrap(), Language::Python);
    assert_eq!(opened(&["package.json", "app.ts"]).unwrap(), Language::JavaScript);
    assert_eq!(opened(&["app.c", "app.h"]).unwrap(), Language::C);
    assert_eq!(opened(&["go.mod", "app.go"]).unwrap(), Language::Go);
    assert!(matches!(opened(&["README.md"]), Err(Error::Nothing(_))));
    let both = opened(&["go.mod", "app.c"]).unwrap_err().to_string();
    assert!(both.ends_with(": has app.c and go.mod, and is a project of one language only"), "{both}");
    assert!(matches!(Project::open(Path::new("/nowhere/at/all")), Err(Error::Io { .. })));
}

#[test]
fn a_new_project_writes_over_nothing_and_has_a_name_that_fits_everywhere() {
    let folder = scratch(&["there"]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    let create = |name: &str| create(&folder.path().join(name), Language::Python, true);
    create("greeter-2").unwrap();
    let made = ["app.py", "greeter-2.toml", "wit/greeter.wit", ".gitignore"];
    assert!(made.iter().all(|file| folder.path().join("greeter-2").join(file).is_file()));
    for name in ["greeter-2", "there", "empty"] {
        let refused = create(name).unwrap_err().to_string();
        assert!(refused.ends_with(&format!("{name} is there already")), "{refused}");
    }
    for name in [
        "Greeter",
        "grEeter",
        "2greeter",
        "-greeter",
        "greeter-",
        "gre_eter",
        "gr\u{fc}\u{df}er",
        "gre eter",
        "greeter.py",
        "..",
    ] {
        let refused = create(name).unwrap_err().to_string();
        assert!(refused.contains("cannot be a project's name: it takes lower-case letters"), "{name}: {refused}");
    }
    let there = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(there, 3, "nothing is left of those that were refused");
}

#[test]
fn the_program_carries_the_whole_package() {
    assert_eq!(wit::PACKAGE.map(|(name, _)| name.to_owned()).into_iter().collect::<BTreeSet<_>>(), files("wit"));
}

#[test]
fn the_program_carries_every_sdk_as_a_whole() {
    let carries = |folder: &str, sdk: &[(&str, &str)], beside: &[&str]| {
        let names = sdk.iter().map(|(name, _)| *name).chain(beside.iter().copied());
        let carried: BTreeSet<String> = names.map(str::to_owned).collect();
        // Python's own, where somebody has looked at it.
        let there: BTreeSet<String> = files(folder).into_iter().filter(|name| !name.contains("__pycache__")).collect();
        assert_eq!(carried, there, "{folder}");
    };
    for folder in ["src/", "wit/"] {
        let part = rust::SDK.iter().filter_map(|(name, text)| Some((name.strip_prefix(folder)?, *text)));
        carries(&format!("guest-sdk/{folder}"), &part.collect::<Vec<_>>(), &[]);
    }
    carries("guest-sdk/python", &[python::SDK.as_slice(), &oslo::PACKAGES].concat(), &[]);
    carries("guest-sdk/js", &javascript::SDK, &["entry.js"]);
    carries("guest-sdk/c", &c::SDK, &[]);
    let go: Vec<_> = go::SDK
        .iter()
        .map(|(name, text)| (name.trim_start_matches("nova/"), *text))
        .filter(|(name, _)| *name != "go.mod")
        .collect();
    // What is called go.mod would make a module of that folder.
    carries("guest-sdk/go/nova", &go, &["go.mod.txt"]);
}

#[test]
fn a_dynamic_world_imports_what_is_granted_where_tools_import_all_of_it() {
    let folder = scratch(&[]);
    let world = |manifest: &str| {
        let grants = crate::catalog::load::grants(Some(manifest), &crate::sandbox::Limits::default()).unwrap();
        let world = wit::prepare(folder.path(), Some(&grants)).unwrap();
        ["nova:rpc/log", "nova:rpc/config", "nova:rpc/client", "nova:rpc/keyvalue", "wasi:http/types"]
            .map(|name| world.import(name).is_some())
    };
    assert_eq!(world(""), [true, true, false, false, false]);
    assert_eq!(world("grants.keyvalue = true"), [true, true, false, true, false]);
    assert_eq!(world("grants.rpc = [\"a.b\"]"), [true, true, true, false, false]);
    assert_eq!(world("grants.http = [\"http://a.b\"]"), [true, true, false, false, true]);
    let all = wit::prepare(folder.path(), None).unwrap();
    assert!(all.import("nova:rpc/client").is_some() && all.import("nova:rpc/keyvalue").is_some());
    assert_eq!(all.import("wasi:http/outgoing-handler").as_deref(), Some("wasi:http/outgoing-handler@0.2.0"));
}

/// So that what does not trace runs on a host that has no such import.
#[test]
fn a_dynamic_world_imports_the_trace_where_a_source_of_the_project_names_it() {
    let traces = |files: &[(&str, &str)]| {
        let folder = scratch(&[]);
        for (name, text) in files {
            write(&folder.path().join(name), text).unwrap();
        }
        let world = wit::prepare(folder.path(), Some(&crate::capability::Grants::default())).unwrap();
        world.import("nova:rpc/trace").is_some()
    };
    for used in [
        ("app.py", "import nova\nfrom nova import rpc, trace"),
        ("deep/er/module.py", "import nova.trace"),
        ("app.js", "import { setAttribute } from \"nova/trace\";"),
        ("app.ts", "import * as trace from 'nova/trace';"),
    ] {
        assert!(traces(&[used]), "{used:?}");
    }
    for unused in [
        ("app.py", "import nova\nnova.log.traced('x')"),
        ("trace.py", "import traceback"),
        ("README.md", "nova/trace"),
        (".nova/python/nova/trace.py", "import nova.trace"),
        ("node_modules/nova/trace.js", "nova/trace"),
    ] {
        assert!(!traces(&[unused]), "{unused:?}");
    }
    assert!(!traces(&[("venv/pyvenv.cfg", ""), ("venv/lib/other.py", "import nova.trace")]));
    assert!(wit::prepare(scratch(&[]).path(), None).unwrap().import("nova:rpc/trace").is_some(), "tools leave it out");
}

#[test]
fn a_typed_world_finds_wasi_unless_it_brings_its_own() {
    let folder = scratch(&[]);
    let own = folder.path().join("wit");
    fs::create_dir_all(own.join("deps/http")).unwrap();
    let world = |version: &str| {
        let world = format!("world greeter {{ import wasi:http/outgoing-handler@{version}; }}");
        fs::write(own.join("greeter.wit"), format!("package acme:greeter@1.2.0; {world}")).unwrap();
        let world = wit::prepare(folder.path(), None).unwrap();
        world.import("wasi:http/outgoing-handler")
    };
    assert_eq!(world("0.2.0").as_deref(), Some("wasi:http/outgoing-handler@0.2.0"));
    let handler = "package wasi:http@0.2.3; interface outgoing-handler { handle: func(); }";
    fs::write(own.join("deps/http/handler.wit"), handler).unwrap();
    assert_eq!(world("0.2.3").as_deref(), Some("wasi:http/outgoing-handler@0.2.3"));
}

#[test]
fn only_a_components_own_imports_are_renamed() {
    let text = |own: &str| {
        format!(
            r#"(component
                (import "{own}http/types@0.2.0" (instance (export "get" (func))))
                (component (import "w4si:http/types@0.2.0" (instance (export "get" (func)))))
                (import "w4si" (func))
                (core module (data "w4si:http/types@0.2.0")))"#
        )
    };
    let [aliased, real] = ["w4si:", "wasi:"].map(|own| wat::parse_str(text(own)).unwrap());
    assert_eq!(component::rename_imports(aliased, "w4si:", "wasi:").unwrap(), real);
    assert!(component::rename_imports(b"\0asm nonsense".to_vec(), "w4si:", "wasi:").is_err());
}

#[test]
fn a_projects_wit_finds_ours_and_is_read_before_any_tool_runs() {
    let folder = scratch(&[]);
    let own = folder.path().join("wit");
    fs::create_dir(&own).unwrap();
    let wit = "package acme:greeter@1.2.0;
        interface api { greet: func(name: string) -> string; }
        world greeter { include nova:rpc/imports@0.1.0; export api; }";
    fs::write(own.join("greeter.wit"), wit).unwrap();
    let world = wit::prepare(folder.path(), None).unwrap();
    assert_eq!((world.name.as_str(), world.typed), ("greeter", true));
    assert_eq!(fs::read_to_string(folder.path().join(".nova/.gitignore")).unwrap(), "*\n");
    fs::write(own.join("greeter.wit"), "package acme:greeter@1.2.0; interface api { greet: fnc(); }").unwrap();
    let Err(Error::Wit(words)) = wit::prepare(folder.path(), None) else { panic!("it is wrong") };
    assert!(words.contains("expected keyword `func`"), "{words}");
}

#[test]
fn a_tool_that_is_missing_or_fails_is_named() {
    let tool = tool::Tool { names: &["nova-no-such-tool"], install: "pip install it" };
    let missing = tool.find(None).unwrap_err().to_string();
    assert_eq!(missing, "nova-no-such-tool is not installed; install it with: pip install it");
    // What cannot be run is no program, and the project's own folder comes first.
    let (folder, name) = (scratch(&["sh"]), tool::Tool { names: &["sh"], install: "" });
    let found = |also: &tempfile::TempDir| name.find(Some(also.path())).unwrap();
    assert_ne!(found(&folder), folder.path().join("sh"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path().join("sh"), mode).unwrap();
    assert_eq!(found(&folder), folder.path().join("sh"));
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "echo first; printf 'bad \\033[2J line\\n' >&2; exit 3"]);
    let failed = tool::run(&mut command).unwrap_err().to_string();
    assert_eq!(failed, "sh failed (exit status: 3):\nfirst\nbad \\u{1b}[2J line");
}
