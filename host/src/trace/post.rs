//! A client for one collector, by hyper: one connection, kept for the next batch.
//!
//! Before it: [`super::export`] has a batch. After it: the collector says how much of it it has taken. The connection is made as
//! those for handlers' requests are ([`crate::capability::http`]), to an address that the operator has named.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
    http::response::Parts,
    rt::{Read, ReadBufCursor, Write},
};
use prost::Message as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{
    endpoint::{Endpoint, Secrets},
    otlp::{Exported, PartialSuccess},
};
use crate::capability::http::{Reachable, Stream, Trust, connect};

/// Bytes of an answer that are read: it says how many spans were not taken, and why.
const MAX_ANSWER: usize = 64 << 10;

/// Bytes that are read at once.
const PIECE: usize = 4 << 10;

/// The collector.
#[derive(Debug)]
pub(super) struct Collector {
    endpoint: Endpoint,
    headers: Secrets,
    trust: Trust,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _task: AbortOnDropHandle<()>,
}

/// Why a batch was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untaken {
    /// For people.
    pub(super) reason: String,
    /// Whether it may be taken later, and where the collector says so, how much later.
    pub(super) again: Option<Option<Duration>>,
}

impl Collector {
    pub(super) fn new(endpoint: Endpoint, headers: Secrets, trust: Trust) -> Self {
        Self { endpoint, headers, trust, connection: None }
    }

    /// Where it is, for people.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a batch. Gives what the collector says of it, where it has taken it: how many of its spans it has refused, and why.
    ///
    /// # Errors
    ///
    /// Why it was not taken, or not `within` that time.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the batch may have been taken or not.
    pub(super) async fn send(&mut self, batch: Bytes, within: Duration) -> Result<PartialSuccess, Untaken> {
        let end = Instant::now() + within;
        let late = |_| Untaken { reason: format!("it does not answer within {within:?}"), again: None };
        let (head, body, connection) = timeout_at(end, self.ask(batch)).await.map_err(late)??;
        match head.status {
            status if status.is_success() => {
                // The batch is taken, whatever else is said, and however.
                let body = Limited::new(body, MAX_ANSWER).collect();
                let Ok(Ok(body)) = timeout_at(end, body).await else { return Ok(PartialSuccess::default()) };
                // Kept only where all of the answer was read.
                self.connection = Some(connection);
                Ok(Exported::decode(body.to_bytes()).ok().and_then(|said| said.partial_success).unwrap_or_default())
            }
            // Those that OTLP has for this (OTLP/HTTP, "Retryable Response Codes").
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let wait = head.headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
                Err(Untaken {
                    reason: format!("it answers {}", head.status),
                    again: Some(wait.map(Duration::from_secs)),
                })
            }
            status => Err(Untaken { reason: format!("it answers {status}"), again: None }),
        }
    }

    /// Sends a batch, and waits for the head of the answer.
    async fn ask(&mut self, batch: Bytes) -> Result<(Parts, Incoming, Connection), Untaken> {
        let later = |reason: String| Untaken { reason, again: Some(None) };
        let mut kept = self.connection.take();
        if let Some(connection) = &mut kept
            && connection.sender.ready().await.is_err()
        {
            // The collector has closed it.
            kept = None;
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().await.map_err(later)?,
        };
        let mut request = Request::post(self.endpoint.path.as_str())
            .header(HOST, self.endpoint.origin.authority())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("nova-host/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(batch))
            .map_err(|error| Untaken { reason: error.to_string(), again: None })?;
        for (name, value) in &self.headers.0 {
            request.headers_mut().insert(name, value.clone());
        }
        let response = connection.sender.send_request(request).await.map_err(|error| later(shown(&error)))?;
        let (head, body) = response.into_parts();
        Ok((head, body, connection))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream =
            connect(&self.endpoint.origin, Reachable::All, &self.trust, "").await.map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(Io(stream)).await.map_err(|error| shown(&error))?;
        let task = tokio::spawn(async move {
            // What goes wrong, the request says.
            connection.await.ok();
        });
        Ok(Connection { sender, _task: AbortOnDropHandle::new(task) })
    }
}

/// hyper's errors say what, and their source why.
fn shown(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A connection, as hyper wants it.
struct Io(Box<dyn Stream>);

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = to.remaining().min(PIECE);
        let piece = piece.get_mut(..room).unwrap_or_default();
        let read = ready!(futures_io::AsyncRead::poll_read(Pin::new(&mut *self.0), context, piece))?;
        to.put_slice(piece.get(..read).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        futures_io::AsyncWrite::poll_write(Pin::new(&mut *self.0), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_io::AsyncWrite::poll_flush(Pin::new(&mut *self.0), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_io::AsyncWrite::poll_close(Pin::new(&mut *self.0), context)
    }
}
