//! HTTP requests of handlers, to hosts that their manifests grant.
//!
//! Before it: [`super::Session`] has held the request against grants and limits. [`origin`] says who is asked, [`request`]
//! what makes sense, [`exchange`] sends and receives, on a connection that [`connect`] makes to an address that
//! [`address`] lets pass, and [`parse`] reads what a stranger answers. One connection for each request: nothing of one is
//! left for another. No redirect is followed, no proxy asked, no credential added.

mod address;
mod connect;
mod exchange;
mod origin;
mod parse;
mod request;
mod talk;
mod tls;

pub(crate) use connect::{Reachable, Stream, connect};
pub(super) use exchange::Work;
pub use exchange::{Exchange, Fetch, Timeouts};
pub(super) use origin::Grant;
pub use origin::Origin;
pub use request::{Request, is_forbidden, is_name, is_path, is_value};
pub use talk::Meter;
pub(crate) use tls::{Trust, check, read};

use serde::{Deserialize, Serialize};

/// Names in small letters and values, in their order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// What comes before the body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whatever it is: one of an error is a response too.
    pub status: u16,
    /// As they came, but in small letters.
    pub headers: Fields,
}

/// Why there is no response, or no more of it. `Display` is for the guest and for the log: nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// Not granted.
    #[error("it is not granted (grants.http in the manifest)")]
    Denied,
    /// More requests than the handler may make.
    #[error("more than {0} requests (limits.http_requests)")]
    Requests(u32),
    /// More bytes sent than it may send.
    #[error("more than {0} bytes sent (limits.http_bytes)")]
    Sent(usize),
    /// More bytes received than it may get; the body's length where the response said it.
    #[error("more than {limit} bytes received (limits.http_bytes)")]
    Received {
        /// The limit.
        limit: usize,
        /// What the response said.
        said: Option<u64>,
    },
    /// No method, or one that would make a tunnel.
    #[error("the method is none, or CONNECT")]
    Method,
    /// No scheme, host or path.
    #[error("the scheme, the host or the path is none")]
    Uri,
    /// A path that is too long.
    #[error("the path is too long")]
    LongUri,
    /// Headers that are none, or too many.
    #[error("the headers are none, or too large")]
    Headers,
    /// The body is not as long as the header says, or was never finished.
    #[error("the body is not what was announced")]
    Body,
    /// Trailers, which are not sent.
    #[error("trailers are not sent")]
    Trailers,
    /// The name has no address.
    #[error("the name has no address")]
    Dns,
    /// It was not found out in time.
    #[error("the name was not resolved in time")]
    DnsTimeout,
    /// Addresses that may not be connected to.
    #[error("the name leads to an address that is not everybody's (see docs/capabilities.md)")]
    Prohibited,
    /// Nobody listens.
    #[error("the connection was refused")]
    Refused,
    /// No way there.
    #[error("there is no way to the address")]
    Unroutable,
    /// Not connected in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The connection ended before the response.
    #[error("the connection ended")]
    Terminated,
    /// The certificate is not trusted, or for another name.
    #[error("the certificate is not trusted, or not for this host")]
    Certificate,
    /// No TLS.
    #[error("the other side speaks no TLS that is spoken here")]
    Tls,
    /// No head of a response in time.
    #[error("no response in time")]
    ResponseTimeout,
    /// Nothing more of the body in time.
    #[error("the response stopped")]
    ReadTimeout,
    /// It ended too early.
    #[error("the response is incomplete")]
    Incomplete,
    /// Headers without an end.
    #[error("the response's headers are too large")]
    ResponseHeaders,
    /// Trailers without an end.
    #[error("the response's trailers are too large")]
    ResponseTrailers,
    /// A body that is not chunked but something else.
    #[error("the response's transfer coding is not known")]
    TransferCoding,
    /// It wants to speak something else.
    #[error("the response wants another protocol")]
    Upgrade,
    /// It is no HTTP.
    #[error("the response is no HTTP")]
    Protocol,
}

#[cfg(test)]
mod tests;
