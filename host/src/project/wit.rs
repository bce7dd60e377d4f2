//! The WIT of a project: ours, and its own where it is typed.

use std::{fs, path::Path};

use wit_parser::{Resolve, WorldId};

use super::{Error, Result, WORKSHOP, at, write};

/// The files of the package `nova:rpc`.
pub(super) const PACKAGE: [(&str, &str); 8] = [
    ("client.wit", include_str!("../../../wit/client.wit")),
    ("config.wit", include_str!("../../../wit/config.wit")),
    ("handler.wit", include_str!("../../../wit/handler.wit")),
    ("keyvalue.wit", include_str!("../../../wit/keyvalue.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("request-info.wit", include_str!("../../../wit/request-info.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// The world of a handler that has no WIT of its own.
const DYNAMIC: &str = "dynamic";

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

/// Writes `.nova/wit`, and reads the world in it.
///
/// # Errors
///
/// [`Error::Wit`] with wit-parser's words, and [`Error::Io`].
pub(super) fn prepare(directory: &Path) -> Result<World> {
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
