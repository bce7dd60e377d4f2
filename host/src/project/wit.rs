//! The WIT of a project: ours, and its own where it is typed.

use std::{fs, path::Path};

use wit_parser::{Resolve, WorldId, WorldKey};

use super::{Error, Result, WORKSHOP, at, write};
use crate::capability::{GRANTABLE, Grants};

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

/// The world of a dynamic project whose tools leave out of the component what it does not use.
const CAPABLE: &str = "capable";

/// That of one whose tools import all that is in the world; it is written by the manifest.
const GRANTED: &str = "granted";

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
    /// Whether an interface, named without its version, is imported.
    pub(super) fn imports(&self, interface: &str) -> bool {
        let imports = self.resolve.worlds.get(self.id).map(|world| world.imports.keys());
        let name = |key: &WorldKey| match key {
            WorldKey::Interface(id) => self.resolve.id_of(*id),
            WorldKey::Name(_) => None,
        };
        imports.into_iter().flatten().filter_map(name).any(|name| name.split('@').next() == Some(interface))
    }
}

/// The world of what a manifest grants, of our own interfaces: a component that imports more would be refused.
fn granted(grants: &Grants) -> String {
    let allowed = GRANTABLE.iter().filter(|(interface, _)| grants.allows_import(interface));
    let imports = allowed.filter_map(|(interface, _)| interface.strip_prefix("nova:rpc/"));
    let imports: String = imports.map(|name| format!("  import {name};\n")).collect();
    format!(
        "/// What the project's manifest grants.\nworld {GRANTED} {{\n  include dynamic;\n  import config;\n{imports}}}\n"
    )
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
    } else if let Some(grants) = grants {
        write(&ours.join("granted.wit"), granted(grants))?;
    }
    let mut resolve = Resolve::default();
    let wrong = |error: &dyn std::fmt::Display| Error::Wit(format!("{error:#}"));
    let (package, _) = resolve.push_path(&folder).map_err(|error| wrong(&error))?;
    let dynamic = if grants.is_some() { GRANTED } else { CAPABLE };
    let which = (!typed).then_some(dynamic);
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
