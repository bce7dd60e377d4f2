//! The bytes between lapin and the broker: a socket, TLS on it where configured, and [`super::frames`] over both.
//!
//! Before it: [`super::link`] connects. After it: lapin reads and writes. lapin has streams of its own; its TLS trusts the
//! system's CAs beside the one that is configured, and its parser needs protection.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsConnector, client::TlsStream};
use futures_util::FutureExt;
use rustls::{ClientConfig, pki_types::ServerName};

use super::frames::Filter;

/// A TCP connection as lapin's runtime has it.
type Tcp = <Tokio as Reactor>::TcpStream;

/// What lapin runs on.
pub(crate) type Kit = RuntimeParts<Tokio, Sockets>;

/// How much is read from the socket at once, in bytes: a large message in a few steps.
const READ_LENGTH: usize = 64 << 10;

/// A connection to a broker.
pub(crate) struct Stream {
    socket: Socket,
    filter: Filter,
    buffer: Box<[u8]>,
}

enum Socket {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
}

/// tokio's sockets and clocks, with [`Stream`] in place of tokio's stream.
#[derive(Clone, Debug)]
pub(crate) struct Sockets(Tokio);

/// tokio's current runtime, with [`Stream`] in place of tokio's stream.
///
/// # Panics
///
/// Outside of tokio.
pub(crate) fn runtime() -> Runtime<Kit> {
    Runtime::new(RuntimeParts::new(Tokio::current(), Sockets(Tokio::current())))
}

impl Stream {
    fn plain(tcp: Tcp) -> Self {
        let buffer = vec![0; READ_LENGTH].into_boxed_slice();
        Self { socket: Socket::Plain(tcp), filter: Filter::default(), buffer }
    }

    /// Another handle of the socket, to shut it down by.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        let tcp = match &self.socket {
            Socket::Plain(tcp) => tcp,
            Socket::Tls(tls) => tls.get_ref().0,
        };
        tcp.get_ref().as_fd().try_clone_to_owned()
    }

    /// Shakes hands with a broker that must be `host`.
    ///
    /// # Errors
    ///
    /// What [`super::tls::advice`] understands, and the socket's own.
    pub(crate) async fn secure(self, config: ClientConfig, host: &str) -> io::Result<Self> {
        // A zone, as in fe80::1%eth0, is no part of who that is.
        let name = host.split_once('%').map_or(host, |(name, _)| name).to_owned();
        let name = ServerName::try_from(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let Socket::Plain(tcp) = self.socket else { return Ok(self) };
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self { socket: Socket::Tls(Box::new(tls)), ..self })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { socket, filter, buffer } = self.get_mut();
        if to.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let length = filter.read(to);
            if length > 0 {
                return Poll::Ready(Ok(length));
            }
            let read = match socket {
                Socket::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
                Socket::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            };
            match buffer.get(..ready!(read)?) {
                Some([]) | None => return Poll::Ready(Ok(0)),
                Some(bytes) => filter.push(bytes)?,
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(context, from),
            Socket::Tls(tls) => Pin::new(tls).poll_write(context, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, from),
            Socket::Tls(tls) => Pin::new(tls).poll_write_vectored(context, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_close(context),
            Socket::Tls(tls) => Pin::new(tls).poll_close(context),
        }
    }
}

impl Reactor for Sockets {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        self.0.tcp_connect_addr(address).map(|connected| connected.map(Stream::plain))
    }
}
