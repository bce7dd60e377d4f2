//! A connection to the host of a request, at an address that it may have.
//!
//! Before it: [`super::exchange`]. The name is resolved once, and what was looked at is what is connected to: a name that
//! leads elsewhere a moment later leads nowhere new. No proxy, whatever the environment says.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use rustls::{AlertDescription, pki_types::ServerName};
use tokio::{io::ReadBuf, net::TcpStream};

use super::{
    Error, Origin, Trust,
    address::{Reach, reach},
    origin::Host,
    tls::Lookup,
};

/// Time for one of several addresses, so that one that does not answer does not use up the time for the others.
const EACH: Duration = Duration::from_secs(5);

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// To which addresses a name may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reachable {
    /// Anybody's only.
    Public,
    /// Those of this machine and of a network of one's own as well.
    Private,
    /// All of them: the operator has named it.
    All,
}

/// tokio's socket, as rustls wants it.
struct Socket(TcpStream);

/// Resolves, connects, and shakes hands where TLS is wanted. `who` asks for it: a handler, or nobody's name for the service.
pub(crate) async fn connect(
    origin: &Origin,
    reachable: Reachable,
    trust: &Trust,
    who: &str,
) -> Result<Box<dyn Stream>, Error> {
    connect_by(origin, reachable, trust, who, resolve).await
}

/// The same with another resolver.
async fn connect_by(
    origin: &Origin,
    reachable: Reachable,
    trust: &Trust,
    who: &str,
    resolve: impl AsyncFnOnce(String, u16, Lookup) -> Result<Vec<SocketAddr>, Error>,
) -> Result<Box<dyn Stream>, Error> {
    let addresses = match &origin.host {
        // Granted as it stands.
        Host::Address(address) => vec![SocketAddr::new(*address, origin.port)],
        Host::Name(name) => {
            let addresses = resolve(name.clone(), origin.port, trust.lookup(who)).await?;
            allowed(addresses, reachable)?
        }
    };
    let socket = Socket(dial(&addresses).await?);
    if !origin.is_secure {
        return Ok(Box::new(socket));
    }
    let name = match &origin.host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::Uri)?,
    };
    let stream =
        TlsConnector::from(trust.config().await?).connect(name, socket).await.map_err(|error| of_tls(&error))?;
    Ok(Box::new(stream))
}

/// The addresses of a name. The system's resolver blocks, and cannot be told to stop: it has a place until it is done.
async fn resolve(name: String, port: u16, lookup: Lookup) -> Result<Vec<SocketAddr>, Error> {
    let place = lookup.enter().await?;
    let lookup = tokio::task::spawn_blocking(move || {
        let addresses = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        drop(place);
        addresses
    });
    match lookup.await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(_)) | Err(_) => Err(Error::Dns),
    }
}

/// Those that may be connected to.
fn allowed(addresses: Vec<SocketAddr>, reachable: Reachable) -> Result<Vec<SocketAddr>, Error> {
    if reachable == Reachable::All && !addresses.is_empty() {
        return Ok(addresses);
    }
    let may = |address: &SocketAddr| match reach(address.ip()) {
        Reach::Public => true,
        Reach::Private => reachable == Reachable::Private,
        Reach::Never => false,
    };
    if addresses.is_empty() {
        return Err(Error::Dns);
    }
    let addresses: Vec<_> = addresses.into_iter().filter(may).collect();
    if addresses.is_empty() { Err(Error::Prohibited) } else { Ok(addresses) }
}

/// Connects to the first that answers.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::Dns;
    for address in addresses {
        let connecting = TcpStream::connect(address);
        let connected = match addresses {
            [_] => connecting.await,
            _ => tokio::time::timeout(EACH, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        };
        match connected {
            Ok(socket) => {
                socket.set_nodelay(true).ok();
                return Ok(socket);
            }
            Err(error) => last = of_connecting(&error, address.ip()),
        }
    }
    Err(last)
}

fn of_connecting(error: &io::Error, address: IpAddr) -> Error {
    tracing::debug!(%error, %address, "a request over HTTP finds nobody");
    match error.kind() {
        io::ErrorKind::TimedOut => Error::ConnectTimeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Error::Unroutable,
        _ => Error::Refused,
    }
}

/// What went wrong with TLS. rustls' own error is inside the socket's.
fn of_tls(error: &io::Error) -> Error {
    tracing::debug!(%error, "a request over HTTP has no TLS");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => Error::Certificate,
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => Error::Certificate,
        Some(_) => Error::Tls,
        None => Error::Terminated,
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(to);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.0), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.0), context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.0), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_addresses_only_those_are_left_that_may_be_connected_to() {
        let at = |text: &str| -> Vec<SocketAddr> { text.split(' ').map(|text| text.parse().unwrap()).collect() };
        let all = at("10.0.0.1:80 8.8.8.8:80 169.254.169.254:80 [::1]:80");
        assert_eq!(allowed(all.clone(), Reachable::Public), Ok(at("8.8.8.8:80")));
        assert_eq!(allowed(all.clone(), Reachable::Private), Ok(at("10.0.0.1:80 8.8.8.8:80 [::1]:80")));
        assert_eq!(allowed(all.clone(), Reachable::All), Ok(all));
        assert_eq!(allowed(Vec::new(), Reachable::All), Err(Error::Dns));
        assert_eq!(allowed(at("10.0.0.1:80"), Reachable::Public), Err(Error::Prohibited));
        assert_eq!(allowed(at("169.254.169.254:80 [fd00:ec2::254]:80"), Reachable::Private), Err(Error::Prohibited));
        assert_eq!(allowed(Vec::new(), Reachable::Private), Err(Error::Dns));
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_a_moment_later_leads_nowhere_new() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        // A name that no resolver knows: whoever looked it up once more would not get here.
        let origin = |port| Origin { host: Host::Name("rebinds.invalid".to_owned()), port, is_secure: false };
        let trust = Trust::default();
        let leading = async |to: SocketAddr, reachable: Reachable| {
            let asked = std::cell::Cell::new(0);
            let resolve = async |name: String, _, _| {
                assert_eq!(name, "rebinds.invalid");
                asked.set(asked.get() + 1);
                Ok(vec![to])
            };
            let connected = connect_by(&origin(to.port()), reachable, &trust, "h", resolve).await;
            assert_eq!(asked.get(), 1);
            connected.map(|_| ())
        };
        // It is asked anew for each request, and what it says is looked at each time.
        assert_eq!(leading(here, Reachable::Private).await, Ok(()));
        listener.accept().await.unwrap();
        assert_eq!(leading(here, Reachable::Public).await, Err(Error::Prohibited));
        for metadata in ["169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80"] {
            assert_eq!(leading(metadata.parse().unwrap(), Reachable::Private).await, Err(Error::Prohibited));
        }
        // Nobody was there but the first.
        let another = listener.into_std().unwrap().accept();
        assert!(another.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    }

    #[test]
    fn a_name_with_an_address_for_everybody_and_one_of_this_machine_leads_to_the_first_only() {
        let everybodys: SocketAddr = "8.8.8.8:80".parse().unwrap();
        let here: SocketAddr = "127.0.0.1:80".parse().unwrap();
        // First one, then the other, as a name server with a time to live of 0 says it.
        assert_eq!(allowed(vec![everybodys], Reachable::Public), Ok(vec![everybodys]));
        assert_eq!(allowed(vec![here], Reachable::Public), Err(Error::Prohibited));
        // And both at once.
        assert_eq!(allowed(vec![here, everybodys], Reachable::Public), Ok(vec![everybodys]));
    }
}
