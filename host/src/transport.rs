//! The seam between the service and whatever carries its messages.
//!
//! Before it: [`crate::host`] connects and subscribes. After it: [`crate::serve`] takes deliveries and settles them,
//! [`crate::reply`] and [`crate::client`] publish. Bytes and destinations pass here; what is in the bytes is the
//! envelope's business, and no type of an AMQP library appears in a signature.

pub mod copy;
mod deliveries;
pub mod memory;
pub mod rabbit;
pub mod topology;
pub mod url;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use copy::{Attempts, Copy, Header, Headers, Lifetime, Origin};
pub use deliveries::{Deliveries, Delivery, Disposition, Message, Settlement};
pub use url::Url;

use deliveries::Source;

/// A connection to the message carrier that the URL names. Cheap to clone; all clones are the same connection.
#[derive(Clone, Debug)]
pub enum Transport {
    /// In this process; see [`memory`].
    Memory(memory::Broker),
    /// RabbitMQ; see [`rabbit`].
    Rabbit(rabbit::Client),
}

/// What a service listens to: one topic on one exchange under one server name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The control exchange.
    pub exchange: String,
    /// The topics, at least one. Each is served as topic, `topic.server` and fanout.
    pub topics: Vec<String>,
    /// The name of this server.
    pub server: String,
    /// How many deliveries may be unsettled at once, for each queue; 1 to 65,535 (AMQP's `prefetch-count`).
    pub prefetch: u16,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Any one server of a topic.
    Topic {
        /// The control exchange.
        exchange: String,
        /// The topic.
        topic: String,
    },
    /// One server of a topic.
    Server {
        /// The control exchange.
        exchange: String,
        /// The topic.
        topic: String,
        /// The server's name.
        server: String,
    },
    /// Every server of a topic.
    Fanout {
        /// The topic.
        topic: String,
    },
    /// A queue by its name: a caller's reply queue.
    Queue(String),
    /// An exchange that others have declared: a dead-letter exchange.
    Exchange {
        /// Its name.
        exchange: String,
        /// The routing key.
        routing_key: String,
    },
}

/// One message to send.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where it goes.
    pub destination: Destination,
    /// Whether an unroutable message is an error ([`Published::Unroutable`]) rather than silently gone.
    pub routing: Routing,
    /// How long it may wait in a queue before the broker drops it.
    pub expiration: Option<Duration>,
    /// The enveloped bytes; `application/json` in UTF-8.
    pub body: Bytes,
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
}

/// Why the transport cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is wrong.
    #[error("transport URL is invalid")]
    Url(#[from] url::Error),
    /// The broker was reached and refuses: credentials, virtual host, a queue declared differently. Trying again would
    /// not help.
    #[error("{broker} refuses: {reason}")]
    Refused {
        /// `host:port`, never with credentials.
        broker: String,
        /// What it said and what to do.
        reason: String,
    },
    /// The broker cannot be reached now.
    #[error("cannot reach {broker}: {reason}")]
    Unreachable {
        /// `host:port`, never with credentials.
        broker: String,
        /// What happened.
        reason: String,
    },
    /// A queue of our own has no name.
    #[error("no name for a queue: {0}")]
    QueueName(String),
    /// The connection was lost before the broker knew of the settlement; it will deliver the message again.
    #[error("connection lost before the delivery was settled; the broker delivers it again")]
    Lost,
}

impl Transport {
    /// Prepares the transport that the URL names. Nothing is connected yet: a broker that is down is met, waited for
    /// and logged in [`Transport::listen`] and [`Transport::publish`].
    #[must_use]
    pub fn new(url: Url, config: rabbit::Config) -> Self {
        match url {
            Url::Memory => Self::Memory(memory::Broker::default()),
            Url::Rabbit(address) => Self::Rabbit(rabbit::Client::new(address, config)),
        }
    }

    /// Declares the queues of a subscription and starts consuming. Reconnects by itself from then on.
    ///
    /// Waits, retries and logs while the broker cannot be reached.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses.
    pub async fn listen(&self, subscription: Subscription) -> Result<Deliveries, Error> {
        let (sender, receiver) = mpsc::channel(1);
        let source = match self {
            Self::Memory(broker) => Source::Memory(broker.listen(&subscription, sender)),
            Self::Rabbit(client) => Source::Rabbit(client.listen(subscription, sender).await?),
        };
        Ok(Deliveries::new(receiver, source))
    }

    /// A name for a reply queue of our own.
    ///
    /// # Errors
    ///
    /// [`Error::QueueName`] where `use_queue_manager` is on and has none.
    pub fn reply_queue(&self) -> Result<String, Error> {
        let suffix = match self {
            Self::Memory(_) => uuid::Uuid::new_v4().simple().to_string(),
            Self::Rabbit(client) => client.queue_suffix()?,
        };
        Ok(format!("reply_{suffix}"))
    }

    /// How long a reply is to be tried whose queue is missing.
    #[must_use]
    pub fn missing_queue_patience(&self) -> Duration {
        match self {
            Self::Memory(_) => rabbit::DEFAULT_KOMBU_MISSING_CONSUMER_RETRY_TIMEOUT,
            Self::Rabbit(client) => client.missing_queue_patience(),
        }
    }

    /// Declares a reply queue of our own and starts consuming it; replies are settled as they arrive.
    ///
    /// # Errors
    ///
    /// As [`Transport::listen`].
    pub async fn listen_for_replies(&self, queue: &str) -> Result<Deliveries, Error> {
        self.listen_for_replies_with(queue, Retry::Forever).await
    }

    /// The same, trying to connect only as often as `retry` says.
    ///
    /// # Errors
    ///
    /// As [`Transport::listen`], and [`Error::Unreachable`] after the last attempt.
    pub async fn listen_for_replies_with(&self, queue: &str, retry: Retry) -> Result<Deliveries, Error> {
        let (sender, receiver) = mpsc::channel(1);
        let source = match self {
            Self::Memory(broker) => Source::Memory(broker.listen_for_replies(queue, sender)),
            Self::Rabbit(client) => Source::Rabbit(client.listen_for_replies(queue, retry, sender).await?),
        };
        Ok(Deliveries::new(receiver, source))
    }

    /// Sends a message and waits for the broker's confirmation, across reconnects: the same bytes are sent again until
    /// one attempt is confirmed. The caller bounds the time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the message may have been sent or not.
    pub async fn publish(&self, publication: &Publication) -> Result<Published, Error> {
        self.publish_with(publication, Retry::Forever).await
    }

    /// The same, trying only as often as `retry` says.
    ///
    /// # Errors
    ///
    /// As [`Transport::publish`], and [`Error::Unreachable`] after the last attempt.
    ///
    /// # Cancel safety
    ///
    /// As [`Transport::publish`].
    pub async fn publish_with(&self, publication: &Publication, retry: Retry) -> Result<Published, Error> {
        match self {
            Self::Memory(broker) => Ok(broker.publish(publication)),
            Self::Rabbit(client) => client.publish(publication, retry).await,
        }
    }

    /// Sends a copy of a message and waits for the broker's confirmation, as [`Transport::publish`] does for a message
    /// that must reach a queue.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses; also where the exchange does not exist.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the copy may have been sent or not.
    pub async fn publish_copy(&self, copy: &Copy<'_>) -> Result<Published, Error> {
        match self {
            Self::Memory(broker) => Ok(broker.publish_copy(copy)),
            Self::Rabbit(client) => client.publish_copy(copy).await,
        }
    }

    /// Looks whether an exchange exists that others declare. In memory, exchanges need not exist.
    ///
    /// Waits, retries and logs while the broker cannot be reached.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where it does not.
    pub async fn require_exchange(&self, exchange: &str) -> Result<(), Error> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Rabbit(client) => client.require_exchange(exchange).await,
        }
    }

    /// Waits until nothing that was sent is left unsettled in this process; a broker elsewhere keeps its own.
    pub async fn drained(&self) {
        match self {
            Self::Memory(broker) => broker.drained().await,
            Self::Rabbit(_) => {}
        }
    }

    /// Closes the connections, after the last delivery is settled.
    pub async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Rabbit(client) => client.close().await,
        }
    }
}
