//! The socket itself: where it is, whose it is, and who may speak there.
//!
//! A lock beside it tells a host that lives from one that has died: the kernel gives it back with the process, so that the
//! socket of a dead host can be replaced without asking, and that of a living one never is.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use crate::settings::Settings;

/// The word for no socket at all.
const NONE: &str = "none";

/// Of the directory that we make, and of the socket and its lock: for nobody else.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The section `control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the socket is; `None` for no socket.
    pub socket: Option<PathBuf>,
    /// Whether somebody has chosen the place, and wants to know where it is taken.
    pub chosen: bool,
}

/// Why there is no socket, or nobody behind it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another host has it.
    #[error("control socket {0}: another host that runs has it; set control.socket to another path, or to none")]
    Taken(PathBuf),
    /// The directory is not ours alone.
    #[error("control socket {path}: {directory} belongs to somebody else or is open to others; set control.socket")]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// Where it is.
        directory: PathBuf,
    },
    /// The file system.
    #[error("control socket {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        match settings.take_optional::<PathBuf>("control.socket") {
            Some(path) if path.as_os_str() == NONE => Self { socket: None, chosen: true },
            Some(path) => Self { socket: Some(path), chosen: true },
            None => Self { socket: Some(default_directory().join("control.sock")), chosen: false },
        }
    }
}

/// `nova-host` in the user's runtime directory; without one, a directory of the user's own among the temporary ones.
fn default_directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime {
        Some(runtime) => runtime.join("nova-host"),
        None => std::env::temp_dir().join(format!("nova-host-{}", rustix::process::geteuid().as_raw())),
    }
}

/// A socket that waits for operators, and goes with this value.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket is ours.
    _lock: File,
}

impl Listener {
    /// Makes the socket, in place of one whose host has died; `None` where the configuration wants none.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn bind(config: &Config) -> Result<Option<Self>, Error> {
        let Some(path) = config.socket.clone() else { return Ok(None) };
        let io = |source| Error::Io { path: path.clone(), source };
        if !config.chosen {
            make_private(&path)?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(lock_of(&path))
            .map_err(io)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::Taken(path)),
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Ok(()) => {}
        }
        match fs::symlink_metadata(&path) {
            // Nothing else is ever taken away.
            Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
                fs::remove_file(&path).map_err(io)?;
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(io)?;
        // Whoever connects before is asked who they are, as everybody is.
        fs::set_permissions(&path, Permissions::from_mode(FILE_MODE)).map_err(io)?;
        Ok(Some(Self { listener, path, _lock: lock }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next operator.
    ///
    /// # Errors
    ///
    /// The kernel's.
    ///
    /// # Cancel safety
    ///
    /// Nobody is lost.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if is_trusted(peer.uid()) => return Ok(stream),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "control socket: another user is not heard"),
                Err(error) => tracing::warn!(%error, "control socket: cannot tell who asks"),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock stays: between removing and making it again, two hosts could both have one.
        fs::remove_file(&self.path).ok();
    }
}

/// Whether a user may tell us what to do, or is believed: ourselves, and root, who could anyway.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw() || uid == 0
}

fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Makes the directory of a socket, or checks that it is ours alone: elsewhere, somebody could put their own socket there.
fn make_private(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(path);
    let io = |source| Error::Io { path: path.to_owned(), source };
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    let metadata = fs::symlink_metadata(directory).map_err(io)?;
    let ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Untrusted { path: path.to_owned(), directory: directory.to_owned() })
}
