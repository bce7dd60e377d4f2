//! A local socket for this user alone, in place of one whose process has died.
//!
//! Before it: [`crate::control`] and [`crate::admin`] say where. After it: whoever is accepted is asked who they are ([`is_trusted`]).
//! A lock beside the socket tells a process that lives from one that has died: the kernel gives it back with the process, so that
//! the socket of a dead one can be replaced without asking, and that of a living one never is.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// Of the socket and its lock: for nobody else.
const FILE_MODE: u32 = 0o600;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("another host that runs has it")]
    Taken,
    /// The file system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A socket, which goes with this value.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Held as long as the socket is ours.
    _lock: File,
}

/// Makes the lock of a socket that is to be made, and gives its path: a confined process may write it, and not make it.
///
/// # Errors
///
/// The file system's.
pub(crate) fn prepare(socket: &Path) -> io::Result<PathBuf> {
    open_lock(socket).map(|_| lock_of(socket))
}

fn open_lock(socket: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(lock_of(socket))
}

impl Socket {
    /// Makes the socket.
    ///
    /// # Errors
    ///
    /// [`Error`]. What is no socket is never taken away.
    pub fn bind(path: &Path) -> Result<(Self, UnixListener), Error> {
        let lock = open_lock(path)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::Taken),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Ok(()) => {}
        }
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        // Whoever connects before is asked who they are, as everybody is.
        fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
        Ok((Self { path: path.to_owned(), _lock: lock }, listener))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The lock stays: between removing and making it again, two hosts could both have one.
        fs::remove_file(&self.path).ok();
    }
}

/// Whether a user may tell us what to do, or is believed: ourselves, and root, who could anyway.
#[must_use]
pub fn is_trusted(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw() || uid == 0
}

fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
