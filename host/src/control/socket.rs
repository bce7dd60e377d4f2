//! The socket itself: where it is, whose it is, and who may speak there.
//!
//! Before it: the configuration. After it: [`super::serve`]. [`crate::local`] makes the socket.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use crate::{
    local::{self, Socket, is_trusted},
    settings::Settings,
};

/// The word for no socket at all.
const NONE: &str = "none";

/// Of the directory that we make: for nobody else.
const DIRECTORY_MODE: u32 = 0o700;

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
    socket: Socket,
}

impl Listener {
    /// Makes the socket, in place of one whose host has died; `None` where the configuration wants none.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn bind(config: &Config) -> Result<Option<Self>, Error> {
        let Some(path) = config.socket.clone() else { return Ok(None) };
        if !config.chosen {
            make_private(&path)?;
        }
        match Socket::bind(&path) {
            Ok((socket, listener)) => Ok(Some(Self { listener, socket })),
            Err(local::Error::Taken) => Err(Error::Taken(path)),
            Err(local::Error::Io(source)) => Err(Error::Io { path, source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.path()
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

/// The socket that is to be made, its own directory with it. `None` also where that cannot be: why is said by [`Listener::bind`].
pub(crate) fn prepare(config: &Config) -> Option<PathBuf> {
    let path = config.socket.clone()?;
    (config.chosen || make_private(&path).is_ok()).then_some(path)
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
