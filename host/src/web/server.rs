//! Who connects, and who is let in.
//!
//! Before it: [`crate::metrics`] says what is answered. After it: [`super::connection`] talks to one client.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
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
    async fn talk<S, A>(self, place: Place, pace: Arc<Pace>, work: Duration, service: S)
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
                let handshake = timeout(PATIENCE, shake(stream, config, &pace));
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

/// TLS with somebody, once they have sent something, and when it is their turn. Who only connects costs no turn.
async fn shake(
    stream: Either<TcpStream, UnixStream>,
    config: Arc<ServerConfig>,
    pace: &Pace,
) -> io::Result<TlsStream<Either<TcpStream, UnixStream>>> {
    if let Either::Left(tcp) = &stream
        && tcp.peek(&mut [0]).await? == 0
    {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    pace.keep().await;
    TlsAcceptor::from(config).accept(stream).await
}

/// Says when the next one may begin TLS: when the turn is due that was taken last. Who waits stands in a queue.
#[derive(Debug, Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Waits for a turn.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, no turn is taken.
    async fn keep(&self) {
        let mut last = self.0.lock().await;
        let now = Instant::now();
        let due = last.map_or(now, |due| due.max(now)) + HANDSHAKE;
        if let Some(allowed) = due.checked_sub(HANDSHAKE * HANDSHAKES).filter(|allowed| *allowed > now) {
            sleep_until(allowed).await;
        }
        *last = Some(due);
    }
}

async fn accept<S, A>(bounds: Bounds, listener: Listener, service: S)
where
    S: Fn(Question) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Places::new(bounds.connections));
    let pace = Arc::new(Pace::default());
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
                let place = Places::enter(&places).await;
                connections.spawn(arrived.talk(place, Arc::clone(&pace), bounds.work, service.clone()));
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_begin_tls_at_once_and_the_rest_one_after_the_other() {
        let (pace, begun) = (Pace::default(), Instant::now());
        for _ in 0..HANDSHAKES {
            pace.keep().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..HANDSHAKES {
            pace.keep().await;
        }
        assert_eq!(begun.elapsed(), HANDSHAKE * HANDSHAKES);
    }

    #[tokio::test]
    async fn hundreds_that_only_connect_cost_no_turn_and_a_probe_over_tls_is_answered() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], made.signing_key.serialize_der().try_into().unwrap())
            .unwrap();
        let config = watch::Sender::new(Arc::new(config));
        let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap().secure(config.subscribe());
        let address = listener.address().unwrap();
        let _server = Server::start(listener, async |_| Answer::new(bytes::Bytes::from("fine").into()));
        let mut silent = Vec::new();
        for number in 0..8 * HANDSHAKES {
            let stream = TcpStream::connect(address).await.unwrap();
            // Those that are kept are more than there are places.
            if number % 2 == 0 {
                silent.push(stream);
            }
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let asked = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok();
            answer
        };
        // One turn after the other, the silent would have taken longer than anybody has patience.
        let answer = timeout(PATIENCE, asked).await.unwrap();
        assert!(answer.ends_with("fine"), "{answer}");
    }
}
