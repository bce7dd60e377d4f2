//! The WIT of a project: ours, and its own where it is typed.

use std::{fs, path::Path};

use wit_parser::{Resolve, WorldId, WorldKey};

use super::{Error, Result, WORKSHOP, at, write};
use crate::capability::{GRANTABLE, Grants};

/// The files of the package `nova:rpc`.
pub(super) const PACKAGE: [(&str, &str); 9] = [
    ("client.wit", include_str!("../../../wit/client.wit")),
    ("config.wit", include_str!("../../../wit/config.wit")),
    ("handler.wit", include_str!("../../../wit/handler.wit")),
    ("keyvalue.wit", include_str!("../../../wit/keyvalue.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("request-info.wit", include_str!("../../../wit/request-info.wit")),
    ("trace.wit", include_str!("../../../wit/trace.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// What is needed of WASI to ask over HTTP.
const HTTP: &str = include_str!("../../../guest-sdk/wit/http.wit");

/// What the names of WASI's interfaces begin with.
pub(super) const WASI: &str = "wasi:";

/// The interface by which a handler asks over HTTP.
pub(super) const OUTGOING: &str = "wasi:http/outgoing-handler";

/// The world of a dynamic project, which is written for it.
const DYNAMIC: &str = "project";

/// The folder of a project's own WIT.
const OWN: &str = "wit";

/// What a project's component exports and imports.
pub(super) struct World {
    pub(super) resolve: Resolve,
    pub(super) id: WorldId,
    /// Its name, without the package.
    pub(super) name: String,
    /// Whether the project has WIT of its own.
    pub(super) typed: bool,
}

impl World {
    /// The full name of an interface, given without its version, if it is imported.
    pub(super) fn import(&self, interface: &str) -> Option<String> {
        let imports = self.resolve.worlds.get(self.id).map(|world| world.imports.keys());
        let name = |key: &WorldKey| match key {
            WorldKey::Interface(id) => self.resolve.id_of(*id),
            WorldKey::Name(_) => None,
        };
        imports.into_iter().flatten().filter_map(name).find(|name| name.split('@').next() == Some(interface))
    }
}

/// The interface that takes no grant, and is imported where it is used.
const TRACE: &str = "trace";

/// How the files end that may use it.
const SOURCES: [&str; 6] = ["py", "js", "mjs", "cjs", "ts", "mts"];

/// The world of what a manifest grants, for a component that imports more would be refused; of everything, where the tools
/// leave out what is not used.
fn dynamic(grants: Option<&Grants>, traces: bool) -> String {
    let allowed = GRANTABLE.iter().filter(|(name, _)| grants.is_none_or(|grants| grants.allows_import(name)));
    let imports = allowed.map(|(interface, _)| match interface.strip_prefix("nova:rpc/") {
        Some(ours) => format!("  import {ours};\n"),
        None => format!("  import {interface}@0.2.0;\n"),
    });
    let trace = if traces { format!("  import {TRACE};\n") } else { String::new() };
    let imports: String = imports.chain([trace]).collect();
    format!("/// What the project may use.\nworld {DYNAMIC} {{\n  include dynamic;\n  import config;\n{imports}}}\n")
}

/// Writes `.nova/wit`, and reads the world in it: the project's own, where it is typed. `grants` are given where the tools
/// import all of a world.
///
/// # Errors
///
/// [`Error::Wit`] with wit-parser's words, and [`Error::Io`].
pub(super) fn prepare(directory: &Path, grants: Option<&Grants>) -> Result<World> {
    let workshop = directory.join(WORKSHOP);
    write(&workshop.join(".gitignore"), "*\n")?;
    let folder = workshop.join(OWN);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&folder)(error)),
        _ => {}
    }
    let own = directory.join(OWN);
    let typed = own.is_dir();
    let ours = if typed { folder.join("deps/nova-rpc") } else { folder.clone() };
    for (name, text) in PACKAGE {
        write(&ours.join(name), text)?;
    }
    if typed {
        copy(&own, &folder, "wit")?;
    } else {
        let names = |package| names(directory, &[package, TRACE]);
        let traces = grants.is_none() || names("nova")? || names("nova_guest")?;
        write(&ours.join("project.wit"), dynamic(grants, traces))?;
    }
    // Whoever brings WASI along has all of it.
    if !any(&folder, &|text| text.contains("package wasi:"))? {
        write(&folder.join("deps/nova-http/http.wit"), HTTP)?;
    }
    let mut resolve = Resolve::default();
    let wrong = |error: &dyn std::fmt::Display| Error::Wit(format!("{error:#}"));
    let (package, _) = resolve.push_path(&folder).map_err(|error| wrong(&error))?;
    let which = (!typed).then_some(DYNAMIC);
    let id = resolve.select_world(&[package], which).map_err(|error| wrong(&error))?;
    let name = resolve.worlds.get(id).map(|world| world.name.clone()).unwrap_or_default();
    Ok(World { resolve, id, name, typed })
}

/// Copies the files of one kind, and the folders that have any.
pub(super) fn copy(from: &Path, to: &Path, extension: &str) -> Result<()> {
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target, extension)?;
        } else if path.extension().is_some_and(|given| given == extension) {
            write(&target, fs::read(&path).map_err(at(&path))?)?;
        }
    }
    Ok(())
}

/// Whether a source of the project has all of these words. Packages of others, and what is hidden, are not looked at.
fn names(folder: &Path, words: &[&str]) -> Result<bool> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_source = || path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source));
        let found = if path.is_dir() {
            let is_others = name == "node_modules" || name.as_encoded_bytes().starts_with(b".");
            !is_others && !path.join("pyvenv.cfg").exists() && names(&path, words)?
        } else if is_source() {
            let text = String::from_utf8_lossy(&super::read(&path)?).into_owned();
            let named = |word: &&str| {
                text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == *word)
            };
            words.iter().all(named)
        } else {
            false
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether any of the files in a folder, and in those below, is like this.
fn any(folder: &Path, is: &impl Fn(&str) -> bool) -> Result<bool> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let found = if path.is_dir() { any(&path, is)? } else { is(&String::from_utf8_lossy(&super::read(&path)?)) };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
