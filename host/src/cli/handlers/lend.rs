//! Lends a running host the files that it is to add: a confined host (ADR 34) opens none but those in its own directories.
//!
//! Before it: [`super::Handlers`] has a request with a path. After it: the same request with the path of a copy, in a folder in
//! the directory of handlers that nobody takes for a handler, as a component that is sent over HTTP has one.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::super::{Failed, running::ask};
use crate::{
    catalog::load::MAX_MANIFEST,
    config::Config,
    control::protocol::{ControlAnswer, ControlRequest},
    sandbox::MAX_COMPONENT,
};

/// The host is on this machine, and there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// How folders are called in which nobody looks for handlers: that of `catalog/staged.rs`, which takes away what was left behind.
const PREFIX: &str = ".nova-host-";

/// Modes with which a host of another user than ours can read, for we may be root.
const OF_FOLDER: u32 = 0o755;
const OF_FILE: u32 = 0o644;

/// Copies the files of a request to where the host reads them, and gives the request that names the copy. Where they cannot be
/// copied, or are no files that can be served, the request stays as it is, and the host says why. The folder goes with what is returned.
///
/// # Errors
///
/// Where the host cannot be asked for its directory.
pub(super) async fn lend(
    config: &Config,
    mut request: ControlRequest,
) -> Result<(ControlRequest, Option<TempDir>), Failed> {
    let (ControlRequest::Add { file, name, .. }
    | ControlRequest::Canary { file, name, .. }
    | ControlRequest::Shadow { file, name, .. }) = &mut request
    else {
        return Ok((request, None));
    };
    let ControlAnswer::Handlers(handlers) = ask(config, &ControlRequest::List {}, PATIENCE).await? else {
        return Ok((request, None));
    };
    let own = file.file_stem().map(|name| name.to_string_lossy().into_owned());
    let Some((folder, copy)) = copy(&handlers.directory, file) else { return Ok((request, None)) };
    *name = name.take().or(own);
    *file = copy;
    Ok((request, Some(folder)))
}

fn copy(directory: &Path, file: &Path) -> Option<(TempDir, PathBuf)> {
    let component = read(file, MAX_COMPONENT).ok()?;
    let manifest = file.with_extension("toml");
    let manifest = if manifest.exists() { Some(read(&manifest, MAX_MANIFEST).ok()?) } else { None };
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory).ok()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(OF_FOLDER)).ok()?;
    let copy = folder.path().join(file.file_name()?);
    write(&copy, &component).ok()?;
    if let Some(manifest) = manifest {
        write(&copy.with_extension("toml"), &manifest).ok()?;
    }
    Some((folder, copy))
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(OF_FILE))
}

/// A regular file of so many bytes at most.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(not_waiting).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("no regular file"));
    }
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit { Err(io::Error::other("too large")) } else { Ok(content) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_copied_with_its_manifest_and_the_copy_goes_with_its_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let (handlers, file) = (scratch.path().join("handlers"), scratch.path().join("a.wasm"));
        fs::create_dir(&handlers).unwrap();
        fs::write(&file, "component").unwrap();
        fs::write(file.with_extension("toml"), "").unwrap();
        let (folder, copied) = copy(&handlers, &file).unwrap();
        assert!(copied.starts_with(&handlers) && copied.ends_with("a.wasm"), "{copied:?}");
        assert_eq!(fs::read(&copied).unwrap(), b"component");
        assert_eq!(fs::read(copied.with_extension("toml")).unwrap(), b"");
        drop(folder);
        assert_eq!(fs::read_dir(&handlers).unwrap().count(), 0);
        assert!(copy(&handlers, Path::new("/dev/zero")).is_none());
        assert!(copy(&handlers, &scratch.path().join("none.wasm")).is_none());
    }
}
