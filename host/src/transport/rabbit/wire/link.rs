//! One connection to one host.
//!
//! Before it: [`super::connect`] chooses the host. After it: [`super::super::consume`] and [`super::super::publish`] open channels.
//! What lapin leaves open is closed here: it has no timeout for a host that accepts and stays silent, and its thread
//! would wait for such a host for ever. So we keep a second handle of the socket and shut that down.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_rs::{Runtime, traits::Reactor};
use futures_util::StreamExt;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Event,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tokio::time::{Instant, timeout};

use super::{
    super::config::Config,
    failure,
    stream::{self, Stream},
    task::lock,
    tls::Tls,
};
use crate::transport::{connections::Open, error::Error, url::Host};

/// A connection that is open, or was. Dropped, its socket is shut down at once: the broker takes back what is
/// unsettled.
pub(crate) struct Link {
    /// lapin's side of it.
    pub(crate) connection: Arc<Connection>,
    /// What happens to it.
    pub(crate) events: Events,
    _socket: ShutDown,
}

/// What happens to a connection without being asked for.
pub(crate) struct Events {
    stream: Pin<Box<dyn futures_util::Stream<Item = Event> + Send>>,
    broker: String,
    is_blocked: bool,
    /// Counts it as ready.
    ready: Option<Open>,
}

/// Shuts the socket that lapin reads and writes down when dropped; also one that is yet to be connected.
#[derive(Debug)]
struct ShutDown(Arc<Mutex<Socket>>);

#[derive(Debug, Default)]
enum Socket {
    /// Not connected yet.
    #[default]
    Pending,
    /// Connected.
    Open(std::net::TcpStream),
    /// Not wanted any more.
    Unwanted,
}

impl Link {
    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the socket is shut down and lapin's thread ends.
    pub(crate) async fn open(host: &Host, virtual_host: &str, config: &Config) -> Result<Self, Error> {
        let broker = host.to_string();
        let socket = Arc::new(Mutex::new(Socket::Pending));
        let shut_down = ShutDown(Arc::clone(&socket));
        let (limit, tls) = (config.connect_timeout, config.tls.clone());
        let connection = Connection::connector(
            uri(host, virtual_host, config),
            stream::runtime(),
            // Runs on lapin's thread for this connection.
            async move |uri: AMQPUri, runtime| {
                let (socket, tls) = (&socket, tls.as_ref());
                let connect = connect(&uri.authority, &runtime, tls, socket, Instant::now() + limit);
                Ok(AsyncTcpStream::Plain(timeout(limit, connect).await.map_err(io::Error::from)??))
            },
            ConnectionProperties::default()
                .with_connection_name(connection_name().into())
                .with_client_property("product".into(), env!("CARGO_PKG_NAME").into())
                .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into()),
        )
        .await
        .map_err(|error| failure::of_handshake(broker.clone(), &error, config))?;
        let events = Events { stream: Box::pin(connection.events_listener()), broker, is_blocked: false, ready: None };
        Ok(Self { connection: Arc::new(connection), events, _socket: shut_down })
    }

    /// Notes that it is ready for what it is for.
    pub(crate) fn is_ready(&mut self, ready: Open) {
        ready.blocks(self.events.is_blocked);
        self.events.ready = Some(ready);
    }

    /// `host:port`, for logs.
    pub(crate) fn broker(&self) -> &str {
        &self.events.broker
    }

    /// The most bytes that a frame may have, all of it.
    pub(crate) fn frame_max(&self) -> usize {
        // 0 is without a bound, for either side.
        match self.connection.configuration().frame_max() {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// Says good-bye, for no longer than `limit`.
    pub(crate) async fn close(self, limit: Duration) {
        // Whether the broker heard it or not, the connection is over.
        timeout(limit, self.connection.close(200, "OK".into())).await.ok();
    }
}

impl Events {
    /// Whether the broker has said that it takes no messages for now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    fn blocks(&mut self, is_blocked: bool) {
        self.is_blocked = is_blocked;
        self.ready.as_ref().inspect(|ready| ready.blocks(is_blocked));
    }

    /// Waits until something breaks: the connection, or one of its channels ([`failure::is_of_channel`]).
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    pub(crate) async fn trouble(&mut self) -> lapin::Error {
        loop {
            match self.stream.next().await {
                Some(Event::Error(error)) => return error,
                Some(Event::ConnectionBlocked(reason)) => {
                    self.blocks(true);
                    tracing::warn!(broker = self.broker, reason, "RabbitMQ accepts no messages for now");
                }
                Some(Event::ConnectionUnblocked) => {
                    self.blocks(false);
                    tracing::info!(broker = self.broker, "RabbitMQ accepts messages again");
                }
                Some(_) => {}
                None => return std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into(),
            }
        }
    }

    /// Waits for an answer of the broker, unless the connection breaks before: lapin may leave a question unanswered
    /// when its connection ends.
    ///
    /// # Errors
    ///
    /// Why the connection broke.
    pub(crate) async fn answer<T>(&mut self, question: impl Future<Output = T>) -> Result<T, lapin::Error> {
        tokio::select! {
            // The answer says more than the end.
            biased;
            answer = question => Ok(answer),
            error = self.end() => Err(error),
        }
    }

    /// Waits until the connection breaks, whatever becomes of its channels.
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    pub(crate) async fn end(&mut self) -> lapin::Error {
        loop {
            let error = self.trouble().await;
            if !failure::is_of_channel(&error) {
                return error;
            }
        }
    }
}

impl Drop for ShutDown {
    fn drop(&mut self) {
        if let Socket::Open(socket) = std::mem::replace(&mut *lock(&self.0), Socket::Unwanted) {
            // Where it fails, the socket was closed already.
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

/// Connects to the first address that answers, and shakes hands where TLS is on. Of a name with several, each has its
/// part of the time that is left: one behind which nobody is must not take it all.
async fn connect(
    at: &AMQPAuthority,
    runtime: &Runtime<stream::Kit>,
    tls: Option<&Tls>,
    socket: &Mutex<Socket>,
    until: Instant,
) -> io::Result<Stream> {
    let addresses: Vec<_> = tokio::net::lookup_host((at.host.as_str(), at.port)).await?.collect();
    let connected = first_of(&addresses, until, |address| runtime.tcp_connect_addr(address)).await;
    let stream = connected?;
    let before = std::mem::replace(&mut *lock(socket), Socket::Open(stream.handle()?.into()));
    if matches!(before, Socket::Unwanted) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    match tls {
        Some(tls) => stream.secure(tls.client_config().map_err(io::Error::other)?, &at.host).await,
        None => Ok(stream),
    }
}

/// Connects to the first of several addresses that answers before `until`.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    until: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut connected = Err(io::Error::other("the name has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        // One part is left for shaking hands.
        let parts = if addresses.len() == 1 { 1 } else { addresses.len() - tried + 1 };
        let part = until.saturating_duration_since(Instant::now()) / u32::try_from(parts).unwrap_or(u32::MAX);
        connected = timeout(part, connect(*address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if connected.is_ok() {
            break;
        }
    }
    connected
}

/// What lapin wants to know. The password goes no further than this.
fn uri(host: &Host, virtual_host: &str, config: &Config) -> AMQPUri {
    AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: host.user.clone(), password: host.password.expose().to_owned() },
            host: host.name.clone(),
            port: host.port,
        },
        vhost: virtual_host.to_owned(),
        query: AMQPQueryString {
            heartbeat: Some(u16::try_from(config.heartbeat_timeout_threshold.as_secs()).unwrap_or(u16::MAX)),
            auth_mechanism: Some(config.rabbit_login_method.into()),
            ..AMQPQueryString::default()
        },
    }
}

/// What RabbitMQ's management shows: the reference's form, with our name.
fn connection_name() -> String {
    format!("nova-host:{}:{}", std::process::id(), uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_behind_which_nobody_is_does_not_take_the_time_of_the_next() {
        let addresses: Vec<SocketAddr> = (1..=3).map(|n| SocketAddr::from(([192, 0, 2, n], 5672))).collect();
        let begun = Instant::now();
        let limit = std::time::Duration::from_secs(5);
        let only_the_last = |address: SocketAddr| async move {
            if address.ip().to_string().ends_with(".3") { Ok(address) } else { std::future::pending().await }
        };
        let connected = first_of(&addresses, begun + limit, only_the_last).await.unwrap();
        assert_eq!(connected, addresses[2]);
        assert!(begun.elapsed() < limit * 3 / 4, "there is time left to shake hands: {:?}", begun.elapsed());
        let nobody = first_of(&addresses, Instant::now() + limit, |_| std::future::pending::<io::Result<()>>()).await;
        assert_eq!(nobody.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
