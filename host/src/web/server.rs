//! Who connects, and who is let in.
//!
//! Before it: [`crate::metrics`] says what is answered. After it: [`super::connection`] talks to one client.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{either::Either, task::AbortOnDropHandle};

use super::{
    Answer, MAX_CONNECTIONS, PATIENCE, Question,
    client::{Client, Peer},
    connection,
    places::{Place, Places},
};

/// Pause where the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// How often somebody may begin TLS, and how many may at once: shaking hands is the one thing that strangers make us compute. With a
/// key of RSA 4096 each costs 4 ms of a core, with ECDSA a twentieth of that.
const HANDSHAKE: Duration = Duration::from_millis(10);
const HANDSHAKES: u32 = 100;

/// Where clients come from.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// The same with TLS, as it is configured when somebody comes.
    Tls(TcpListener, watch::Receiver<Arc<ServerConfig>>),
    /// A path.
    Unix(UnixListener),
}

/// What a server allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Time between a request's head and its answer: for its body, and for what is done.
    pub work: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: MAX_CONNECTIONS, work: PATIENCE }
    }
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

    /// The same with TLS from now on.
    #[must_use]
    pub fn secure(self, config: watch::Receiver<Arc<ServerConfig>>) -> Self {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => Self::Tls(listener, config),
            // Who may connect there is the kernel's to say.
            Self::Unix(listener) => Self::Unix(listener),
        }
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
            Self::Tcp(listener) | Self::Tls(listener, _) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Arrived> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => {
                let (stream, from) = listener.accept().await?;
                let secure = if let Self::Tls(_, config) = self { Some(Arc::clone(&config.borrow())) } else { None };
                Ok(Arrived { stream: Either::Left(stream), peer: Peer::Tcp(from), secure })
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer::Unix(stream.peer_cred().ok().map(|peer| peer.uid()));
                Ok(Arrived { stream: Either::Right(stream), peer, secure: None })
            }
        }
    }
}

/// Who has come.
struct Arrived {
    stream: Either<TcpStream, UnixStream>,
    peer: Peer,
    secure: Option<Arc<ServerConfig>>,
}

impl Arrived {
    async fn talk<S, A>(self, place: Place, work: Duration, service: S)
    where
        S: Fn(Question) -> A,
        A: Future<Output = Answer> + Send + 'static,
    {
        let Self { stream, peer, secure } = self;
        let place = Arc::new(place);
        let client = Client { peer, is_secure: secure.is_some(), certificate: None, place: Arc::clone(&place) };
        match secure {
            None => connection::talk(stream, client, work, service).await,
            Some(config) => {
                let handshake = timeout(PATIENCE, TlsAcceptor::from(config).accept(stream));
                let shaken = tokio::select! {
                    shaken = handshake => shaken,
                    () = place.lost() => return,
                };
                match shaken {
                    Ok(Ok(stream)) => {
                        let certificates = stream.get_ref().1.peer_certificates();
                        let certificate = certificates.and_then(|all| all.first()).cloned();
                        connection::talk(stream, Client { certificate, ..client }, work, service).await;
                    }
                    // The alert has told the client why.
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client"),
                    Err(_) => {}
                }
            }
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
        Self::start_within(Bounds::default(), listener, service)
    }

    /// The same within other bounds.
    #[must_use]
    pub fn start_within<S, A>(bounds: Bounds, listener: Listener, service: S) -> Self
    where
        S: Fn(Question) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self { _task: AbortOnDropHandle::new(tokio::spawn(accept(bounds, listener, service))) }
    }
}

/// Says when the next one may begin TLS. Who comes sooner waits in the kernel's queue.
#[derive(Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    async fn keep(&mut self) {
        let now = Instant::now();
        let due = self.0.map_or(now, |due| due.max(now)) + HANDSHAKE;
        self.0 = Some(due);
        if let Some(allowed) = due.checked_sub(HANDSHAKE * HANDSHAKES).filter(|allowed| *allowed > now) {
            sleep_until(allowed).await;
        }
    }
}

async fn accept<S, A>(bounds: Bounds, listener: Listener, service: S)
where
    S: Fn(Question) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Places::new(bounds.connections));
    let mut pace = Pace::default();
    // Dropped with this task, it ends the connections' own.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Those who have lost their place are about to end.
        if connections.len() >= 2 * bounds.connections {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok(arrived) => {
                if arrived.secure.is_some() {
                    pace.keep().await;
                }
                let place = Places::enter(&places).await;
                connections.spawn(arrived.talk(place, bounds.work, service.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_begin_tls_at_once_and_the_rest_one_after_the_other() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        for _ in 0..HANDSHAKES {
            pace.keep().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..HANDSHAKES {
            pace.keep().await;
        }
        assert_eq!(begun.elapsed(), HANDSHAKE * HANDSHAKES);
    }
}
