//! A message as it arrived, and what is known of it besides its bytes: where it came from, how often it came.
//!
//! Before it: a broker, [`super::memory`] or [`super::rabbit`], hands it over. After it: [`super::deliveries`].

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

/// The header that counts attempts where the queue does not: those before this copy.
pub const ATTEMPTS: &str = "x-nova-host-attempts";

/// The header with the exchange that the original of a copy was published to.
pub const EXCHANGE: &str = "x-nova-host-exchange";

/// The header with the routing key that the original of a copy was published with.
pub const ROUTING_KEY: &str = "x-nova-host-routing-key";

/// The header of a request that was forwarded: the name of the server that did it.
pub const FORWARDED: &str = "x-nova-host-forwarded";

/// The header with how often it was: more than once where it came back.
pub const FORWARDS: &str = "x-nova-host-forwards";

/// Headers that a copy must not have from its original: ours, and those with which RabbitMQ would send it to further
/// queues or which it sets itself.
pub(super) const NOT_COPIED: [&str; 7] =
    [ATTEMPTS, EXCHANGE, ROUTING_KEY, "CC", "BCC", "x-delivery-count", "x-acquired-count"];

/// A header's value, as far as anybody here reads or writes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

/// Headers by their names.
pub type Headers = BTreeMap<String, Header>;

/// Where a message was published, and where it waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The exchange; empty for the default one. Of a copy of ours, the original's.
    pub exchange: String,
    /// The routing key. Of a copy of ours, the original's.
    pub routing_key: String,
    /// The queue that delivered it.
    pub queue: String,
}

/// How often a message was delivered before. Each of these may have been an attempt to handle it, or have ended before
/// one began: nobody can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Deliveries before this one.
    pub earlier: u32,
    /// Whether the last of them is forgotten should this one fail too: the queue does not count, and only its flag
    /// `redelivered` speaks of it. [`super::copy::again`] makes a copy that remembers.
    pub forgettable: bool,
}

/// One message as it arrived, with the duty to settle it.
#[derive(Debug)]
pub struct Arrived<S> {
    /// The message.
    pub message: Message,
    /// How the broker is told what became of it.
    pub settlement: S,
}

impl<S> Arrived<S> {
    /// The same with another kind of settlement.
    pub(super) fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Arrived<T> {
        Arrived { message: self.message, settlement: wrap(self.settlement) }
    }
}

/// A message as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The bytes.
    pub body: Bytes,
    /// AMQP's `content-type`.
    pub content_type: Option<String>,
    /// The header `compression`.
    pub compression: Option<String>,
    /// How long it may wait in a queue, from when it was sent.
    pub expiration: Option<Duration>,
    /// When it was sent, where it says so.
    pub sent: Option<SystemTime>,
    /// Whether the broker has delivered it before.
    pub redelivered: bool,
    /// How often it was delivered before, as far as anybody counts.
    pub attempts: Attempts,
    /// Where it came from.
    pub origin: Origin,
    /// Its headers that are strings or integers.
    pub headers: Headers,
    /// Everything it carries beside its body, for copies; `None` in memory, where there is nothing else.
    pub carried: Option<Carried>,
}

/// What a message carries that only the transport which brought it can read.
#[derive(Clone)]
pub struct Carried(Arc<dyn Any + Send + Sync>);

impl Carried {
    /// Keeps what a transport has read.
    pub(super) fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// What was kept, if it is of this type.
    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carried")
    }
}

/// What the broker is told about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Done with.
    Ack,
    /// It cannot be processed: not again, and to the dead-letter exchange if there is one.
    Reject,
    /// Given back, for this server or another. Where the queue counts and can tell (quorum queues since RabbitMQ 4.3),
    /// this delivery was no attempt.
    Requeue,
}

impl Message {
    /// Notes where the message came from and how often, from what the broker says and what a copy of ours carries.
    /// `counted` is the queue's own count of earlier deliveries, where it has one.
    pub(super) fn note_arrival(&mut self, origin: Origin, counted: Option<u32>) {
        let own = match self.headers.get(ATTEMPTS) {
            Some(Header::Number(number)) => u32::try_from((*number).max(0)).unwrap_or(u32::MAX),
            Some(Header::Text(_)) | None => 0,
        };
        let unnoted = counted.unwrap_or_else(|| u32::from(self.redelivered));
        self.attempts =
            Attempts { earlier: own.saturating_add(unnoted), forgettable: counted.is_none() && self.redelivered };
        let original = |name: &str, published: String| match self.headers.get(name) {
            Some(Header::Text(text)) => text.clone(),
            Some(Header::Number(_)) | None => published,
        };
        self.origin = Origin {
            exchange: original(EXCHANGE, origin.exchange),
            routing_key: original(ROUTING_KEY, origin.routing_key),
            queue: origin.queue,
        };
    }
}
