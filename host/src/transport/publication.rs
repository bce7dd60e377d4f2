//! A message to send, and what may become of it.
//!
//! Before it: [`crate::serve`] and [`crate::client`]. After it: [`super::memory`] or [`super::rabbit`] sends it.

use std::time::Duration;

use bytes::Bytes;

use super::{
    destination::Destination,
    message::{Carried, Headers},
};

/// One message to send.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where it goes.
    pub destination: Destination,
    /// Whether an unroutable message is an error ([`Published::Unroutable`]) rather than silently gone.
    pub routing: Routing,
    /// How long it may wait in a queue before the broker drops it; a copy that keeps its original's has none here.
    pub expiration: Option<Duration>,
    /// The bytes; of a message of our own, `application/json` in UTF-8.
    pub body: Bytes,
    /// Headers of a message of our own, beside the reference's.
    pub headers: Vec<(&'static str, String)>,
    /// What it is a copy of; `None` where it is our own.
    pub copied: Option<Copied>,
    /// What else of the broker's it may hold up.
    pub company: Company,
}

impl Publication {
    /// A message of our own that does not expire.
    #[must_use]
    pub fn new(destination: Destination, routing: Routing, body: impl Into<Bytes>) -> Self {
        Self {
            destination,
            routing,
            expiration: None,
            body: body.into(),
            headers: Vec::new(),
            copied: None,
            company: Company::Shared,
        }
    }
}

/// What a copy has from its original besides the body, and what is added to that.
#[derive(Clone, Debug)]
pub struct Copied {
    /// What the original carried; `None` in memory.
    pub carried: Option<Carried>,
    /// The headers that the original had, as far as they can be read.
    pub original: Headers,
    /// Headers that are added. Those that come first are kept longest where there is not room for all.
    pub added: Vec<(&'static str, super::message::Header)>,
    /// Whether it expires as its original did.
    pub lifetime: Lifetime,
}

/// How long a copy may wait in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as its original, counted anew.
    Same,
    /// So long, where its original was to expire at all.
    Left(Duration),
    /// For ever.
    Unbounded,
}

/// With whom a message travels. What is sent to a queue that is ill may hold up everything that goes the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// On a channel that it shares with others.
    Shared,
    /// On a channel of its own, which costs two more round trips.
    Alone,
}

/// What to do with a message that reaches no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Say so (AMQP's `mandatory`).
    Mandatory,
    /// Drop it.
    BestEffort,
}

/// How often to try again what the broker did not take: oslo.messaging's `retry`. An attempt is one round of all hosts
/// in which no connection was made, or a message that was sent and not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// For as long as it takes.
    Forever,
    /// As often as this, after the first attempt.
    Times(u32),
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has it (publisher confirm).
    Confirmed,
    /// No queue takes it; only for [`Routing::Mandatory`].
    Unroutable,
    /// A queue that it goes to does not take it (`basic.nack`), on a new channel neither.
    Nacked {
        /// Whether the queue is known to hold messages: then it is full, and rejects what is beyond its limit. Otherwise it
        /// may have no leader for a while, or its node is away.
        is_full: bool,
    },
    /// The broker is connected, and has neither confirmed nor refused it in time. It may have it.
    Unconfirmed,
}
