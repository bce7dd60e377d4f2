//! The operator's side of the control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::protocol::{ControlAnswer, ControlRequest};
use crate::local::is_trusted;

/// Bytes of an answer: a list of hundreds of handlers with thousands of methods.
const MAX_ANSWER: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is there.
    #[error(
        "no host answers at {path}: {source}; is it running, as this user, with the same control.socket? Its log says \
         where it listens"
    )]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error("{path} belongs to user {uid}, who may be anybody: not asked")]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The host did not answer.
    #[error(
        "the host at {path} did not answer within {timeout:?}; it may still be at it: see `nova-host handlers list`"
    )]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// What came is no answer.
    #[error("the host at {path} ended the conversation: {reason}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What came.
        reason: String,
    },
}

/// Asks the host behind a socket.
///
/// # Errors
///
/// [`Error`].
///
/// # Cancel safety
///
/// Dropped half-way, the host may do what was asked or not.
pub async fn ask(path: &Path, request: &ControlRequest, patience: Duration) -> Result<ControlAnswer, Error> {
    let own = || path.to_owned();
    let broken = |reason: &dyn std::fmt::Display| Error::Broken { path: own(), reason: reason.to_string() };
    let mut stream = UnixStream::connect(path).await.map_err(|source| Error::Nobody { path: own(), source })?;
    match stream.peer_cred().map_err(|error| broken(&error))?.uid() {
        uid if is_trusted(uid) => {}
        // Root may ask anybody's host; nobody can pose as one to root who could not be asked otherwise.
        _ if rustix::process::geteuid().is_root() => {}
        uid => return Err(Error::Stranger { path: own(), uid }),
    }
    let mut text = serde_json::to_vec(request).map_err(|error| broken(&error))?;
    text.push(b'\n');
    let mut answer = Vec::new();
    let conversation = async {
        stream.write_all(&text).await?;
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await
    };
    match timeout(patience, conversation).await {
        Err(_) => return Err(Error::TimedOut { path: own(), timeout: patience }),
        Ok(conversed) => drop(conversed.map_err(|error| broken(&error))?),
    }
    serde_json::from_slice(&answer).map_err(|error| broken(&error))
}
