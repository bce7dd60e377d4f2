//! The directory of handlers: what is in it.
//!
//! Before it: an operator, or [`super::staged`] for them, has put files there. After it: [`super::watch`] compares what is
//! found with what was.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::load;
use crate::confine::explained;

/// The handlers of a directory by their names. `None` is one that is there and cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pub(super) handlers: BTreeMap<String, Option<Files>>,
    /// Files that no handler can be named after.
    pub(super) misnamed: Vec<PathBuf>,
}

/// A component and its manifest as the file system sees them, through symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    wasm: Stamp,
    manifest: Option<Stamp>,
}

/// What cannot stay the same when a file changes: another file has another device or inode, another content another time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Files {
    /// Looks at `NAME.wasm` and `NAME.toml`; `None` where there is no component.
    pub(super) fn look(wasm: &Path) -> io::Result<Option<Self>> {
        let stamp = |path: &Path| match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Stamp::of(&metadata))),
            Ok(_) => Ok(None),
            // A symbolic link that leads nowhere is no file either.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let Some(component) = stamp(wasm)? else { return Ok(None) };
        Ok(Some(Self { wasm: component, manifest: stamp(&wasm.with_extension("toml"))? }))
    }
}

/// Looks at all handlers of a directory. Hidden files are none: they are on their way, or somebody's own.
///
/// # Errors
///
/// Where the directory cannot be listed.
pub(super) fn scan(directory: &Path) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for entry in fs::read_dir(directory).map_err(explained)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|ending| ending != "wasm") {
            continue;
        }
        match (load::name_of(&path), Files::look(&path)) {
            (_, Ok(None)) => {}
            (Ok(name), Ok(Some(files))) => drop(scan.handlers.insert(name, Some(files))),
            (Ok(name), Err(_)) => drop(scan.handlers.insert(name, None)),
            (Err(_), _) => scan.misnamed.push(path),
        }
    }
    scan.misnamed.sort();
    Ok(scan)
}

/// The file of a handler's component.
pub(super) fn path_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.wasm"))
}

/// Writes the names themselves to the disk, where the file system does that.
pub(super) fn sync(path: &Path) {
    if let Some(directory) = path.parent() {
        fs::File::open(directory).and_then(|directory| directory.sync_all()).ok();
    }
}

/// What is not there needs nothing done.
pub(super) fn if_there(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
