//! Who connects, and who is let in.
//!
//! Before it: [`crate::metrics`] says what is answered. After it: [`super::connection`] talks to one client.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};
use tokio_util::{either::Either, task::AbortOnDropHandle};

use super::{Answer, MAX_CONNECTIONS, Question, connection, places::Places};

/// Pause where the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A path.
    Unix(UnixListener),
}

/// A server. Dropped, it and its connections end.
#[derive(Debug)]
pub struct Server {
    _task: AbortOnDropHandle<()>,
}

impl Listener {
    /// Listens at an address; port 0 is any.
    ///
    /// # Errors
    ///
    /// Where it is not to be had.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::Tcp(TcpListener::bind(address).await?))
    }

    /// Listens at a path where nothing is yet. Who may connect is what the permissions of its directory say.
    ///
    /// # Errors
    ///
    /// Where it is not to be had.
    pub fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixListener::bind(path)?))
    }

    /// Where it listens, if that has an address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Either::Left(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Either::Right(stream)),
        }
    }
}

impl Server {
    /// Answers every request that is understood with what `service` says.
    #[must_use]
    pub fn start<S, A>(listener: Listener, service: S) -> Self
    where
        S: Fn(Question) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self::start_with(MAX_CONNECTIONS, listener, service)
    }

    /// The same with room for so many.
    pub(super) fn start_with<S, A>(most: usize, listener: Listener, service: S) -> Self
    where
        S: Fn(Question) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self { _task: AbortOnDropHandle::new(tokio::spawn(accept(most, listener, service))) }
    }
}

async fn accept<S, A>(most: usize, listener: Listener, service: S)
where
    S: Fn(Question) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Places::new(most));
    // Dropped with this task, it ends the connections' own.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Those who have lost their place are about to end.
        if connections.len() >= 2 * most {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok(stream) => {
                let place = Places::enter(&places).await;
                connections.spawn(connection::talk(stream, place, service.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
