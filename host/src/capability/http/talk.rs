//! What is said on one connection, and how much of it.
//!
//! Before it: [`super::connect`]. After it: [`super::exchange`] has the head and the bytes of the body.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use futures_io::{AsyncRead as _, AsyncWrite as _};

use super::{
    Error, Head,
    connect::Stream,
    parse::{self, Body, MAX_HEAD, MAX_INTERIM},
};
use crate::metrics::{Handler, Limit};

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// What the requests of one session have sent and received.
#[derive(Debug)]
pub struct Meter {
    limit: usize,
    pub(in crate::capability) metrics: Handler,
    sent: AtomicUsize,
    received: AtomicUsize,
}

/// A conversation on a connection: writes what is to be written while it waits for what is to be read.
pub(super) struct Talk {
    stream: Box<dyn Stream>,
    unsent: Vec<u8>,
    sent: usize,
    is_flushed: bool,
    buffer: Box<[u8]>,
    pub(super) received: Vec<u8>,
    pub(super) meter: Arc<Meter>,
}

impl Meter {
    pub(in crate::capability) fn new(limit: usize, metrics: Handler) -> Self {
        Self { limit, metrics, sent: AtomicUsize::new(0), received: AtomicUsize::new(0) }
    }

    /// Counts bytes that are sent.
    ///
    /// # Errors
    ///
    /// [`Error::Sent`].
    pub fn send(&self, length: usize) -> Result<(), Error> {
        self.count(&self.sent, length, Error::Sent(self.limit))
    }

    fn receive(&self, length: usize) -> Result<(), Error> {
        self.count(&self.received, length, Error::Received { limit: self.limit, said: None })
    }

    /// What a response says of itself.
    pub(super) fn announce(&self, said: u64) -> Result<(), Error> {
        let left = self.limit.saturating_sub(self.received.load(Ordering::Relaxed));
        if usize::try_from(said).is_ok_and(|said| said <= left) {
            return Ok(());
        }
        self.metrics.hit(Limit::HttpBytes);
        Err(Error::Received { limit: self.limit, said: Some(said) })
    }

    fn count(&self, counter: &AtomicUsize, length: usize, error: Error) -> Result<(), Error> {
        // A guest says how long a body of zeroes is: the count must not wrap around.
        let add = |count: usize| Some(count.saturating_add(length));
        let (Ok(before) | Err(before)) = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if before.saturating_add(length) <= self.limit {
            return Ok(());
        }
        self.metrics.hit(Limit::HttpBytes);
        Err(error)
    }
}

impl Talk {
    pub(super) fn new(stream: Box<dyn Stream>, unsent: Vec<u8>, meter: Arc<Meter>) -> Self {
        let buffer = vec![0; READ].into_boxed_slice();
        Self { stream, unsent, sent: 0, is_flushed: false, buffer, received: Vec::new(), meter }
    }

    /// The head of the response, without those that come before it.
    pub(super) async fn head(&mut self, method: &str) -> Result<(Head, Body), Error> {
        let (mut interim, mut looked) = (0, 0);
        loop {
            // A head that comes in single bytes is not worth a look at each.
            let fresh = self.received.get(looked..).unwrap_or_default();
            if fresh.contains(&b'\n') || self.received.len() >= MAX_HEAD {
                looked = self.received.len();
                if let Some((length, head, body)) = parse::head(&self.received, method)? {
                    self.received.drain(..length);
                    if head.status >= 200 {
                        return Ok((head, body));
                    }
                    (interim, looked) = (interim + 1, 0);
                    if interim > MAX_INTERIM {
                        return Err(Error::Protocol);
                    }
                    continue;
                }
            }
            if self.fill().await? == 0 {
                return Err(if self.received.is_empty() { Error::Terminated } else { Error::Incomplete });
            }
        }
    }

    /// Reads some more, and writes meanwhile; 0 is the end.
    pub(super) async fn fill(&mut self) -> Result<usize, Error> {
        let Self { stream, unsent, sent, is_flushed, buffer, received, meter } = self;
        let read = poll_fn(|context| {
            while let Some(rest) = unsent.get(*sent..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut *stream).poll_write(context, rest) {
                    Poll::Ready(Ok(length)) if length > 0 => *sent += length,
                    // It may have answered before it had read all.
                    Poll::Ready(_) => *sent = unsent.len(),
                    Poll::Pending => break,
                }
            }
            if !*is_flushed && *sent == unsent.len() {
                *is_flushed = Pin::new(&mut *stream).poll_flush(context).is_ready();
            }
            Pin::new(&mut *stream).poll_read(context, buffer)
        });
        let length = read.await.map_err(|error| of_reading(&error))?;
        if *is_flushed && !unsent.is_empty() {
            (*unsent, *sent) = (Vec::new(), 0);
        }
        meter.receive(length)?;
        received.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

fn of_reading(error: &io::Error) -> Error {
    tracing::debug!(%error, "the response to a handler ends");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(_) => Error::Tls,
        None if error.kind() == io::ErrorKind::UnexpectedEof => Error::Incomplete,
        None => Error::Terminated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// Attacks the host's memory: a count that wraps around would begin anew.
    #[test]
    fn no_length_is_large_enough_to_be_forgotten() {
        let meter = Meter::new(100, Metrics::default().handler("guest"));
        meter.send(60).unwrap();
        assert!(meter.send(usize::MAX - 50).is_err());
        assert!(meter.send(60).is_err());
        assert!(meter.send(usize::MAX).is_err() && meter.send(1).is_err());
    }
}
