//! The directory of handlers: what is in it, and putting handlers into it whole.
//!
//! Before it: an operator, or [`super::keeper`] for them. After it: [`super::watch`] compares what is found with what was.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{Source, load};

/// What others may do with a handler's file, before the umask: read it, as any other file.
const MODE: u32 = 0o666;

/// The handlers of a directory by their names. `None` is one that is there and cannot be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
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
    for entry in fs::read_dir(directory)? {
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

/// A handler that lies in the directory under names that nobody looks at.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    wasm: NamedTempFile,
    manifest: Option<NamedTempFile>,
}

impl Staged {
    /// Writes the files of a handler beside where they belong, and waits until they are on the disk.
    pub(super) fn write(directory: &Path, name: &str, source: &Source) -> io::Result<Self> {
        let write = |content: &[u8]| -> io::Result<NamedTempFile> {
            let mut file = tempfile::Builder::new()
                .prefix(".nova-host-")
                .permissions(Permissions::from_mode(MODE))
                .tempfile_in(directory)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let manifest = source.manifest.as_ref().map(|text| write(text.as_bytes())).transpose()?;
        Ok(Self { path: path_of(directory, name), wasm: write(&source.wasm)?, manifest })
    }

    /// Puts them in their place, each at once.
    pub(super) fn put(self) -> io::Result<()> {
        let manifest = self.path.with_extension("toml");
        match self.manifest {
            Some(file) => drop(file.persist(manifest)?),
            None => remove_if_there(&manifest)?,
        }
        self.wasm.persist(&self.path)?;
        sync(&self.path);
        Ok(())
    }
}

/// Takes a handler's files away.
pub(super) fn remove(directory: &Path, name: &str) -> io::Result<()> {
    let path = path_of(directory, name);
    remove_if_there(&path)?;
    remove_if_there(&path.with_extension("toml"))?;
    sync(&path);
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes the names themselves to the disk, where the file system does that.
fn sync(path: &Path) {
    if let Some(directory) = path.parent() {
        fs::File::open(directory).and_then(|directory| directory.sync_all()).ok();
    }
}
