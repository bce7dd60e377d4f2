//! RabbitMQ, by way of lapin: the only place that knows it.
//!
//! Before it: [`super::Transport`], with an [`Address`] and a [`Config`]. After it: the broker. Each subscription has a
//! connection of its own ([`consume`]), all publications share another one ([`publish`]): a broker that is short of
//! memory or disk stops reading from connections that publish, and acknowledgements must go on. [`wire`] makes both.
//!
//! Each connection is owned by one task, which connects, declares, works, and connects again when something breaks.
//! lapin's own recovery stays off: it knows nothing of several hosts, jitter or refusals.

mod bench;
mod config;
mod consume;
mod names;
mod publish;
mod wire;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::mpsc;

pub use bench::Bench;
pub use config::{
    Config, DEFAULT_CONNECT_TIMEOUT, DEFAULT_HEARTBEAT_TIMEOUT_THRESHOLD, DEFAULT_KOMBU_MISSING_CONSUMER_RETRY_TIMEOUT,
    DEFAULT_KOMBU_RECONNECT_DELAY, DEFAULT_RABBIT_INTERVAL_MAX, DEFAULT_RABBIT_RETRY_BACKOFF,
    DEFAULT_RABBIT_RETRY_INTERVAL, FailoverStrategy, LoginMethod,
};
pub use consume::{
    consumer::Consumer,
    settle::Settlement,
    tap::{Losses, Overheard, Tap},
};
pub use names::Config as QueueNames;
pub use wire::tls::{Tls, Version as TlsVersion};

use super::{
    connections::{Carries, Connections},
    depths::Depths,
    destination::{Destination, Subscription},
    error::Error,
    message::Arrived,
    publication::{Publication, Published, Retry, Routing},
    topology,
    url::Address,
};
use publish::{
    attempts::RetryBudget,
    parcel::{Attempted, Parcel, Refusal},
    publisher::{self, Publisher},
};
use wire::{
    backoff::Backoff,
    connect::{Connector, Patience},
    depth,
    look::Look,
    task::lock,
};

/// How many replies may be unsettled at once. A caller settles each as it arrives, so this bounds memory, not work.
pub(crate) const REPLY_PREFETCH: u16 = 1000;

/// The log target of the library. It logs whole messages at `WARN` and the login at `TRACE`: it must stay silent.
pub const LIBRARY: &str = "lapin";

/// A message whose channel has gone so often goes alone: it may be to blame, or one that shares its channel.
const LOST_IN_COMPANY: u32 = 3;

/// The longest name that AMQP has room for, in bytes.
const MAX_NAME_LENGTH: usize = 255;

/// A RabbitMQ. Clones share one connection for publishing, which is made when the first of them publishes; it ends
/// with the last of them, or with [`Client::close`].
#[derive(Clone, Debug)]
pub struct Client {
    connector: Arc<Connector>,
    publisher: Arc<Mutex<Publishing>>,
    /// Names of the queue manager's, ours until the last clone ends.
    names: Arc<Mutex<Vec<names::Name>>>,
}

/// What becomes of the publishing connection over time.
#[derive(Debug)]
enum Publishing {
    /// Nothing was published yet.
    Unused,
    /// There is a task for it.
    Running(Publisher),
    /// [`Client::close`] was called.
    Closed,
}

impl Client {
    /// Prepares to connect; nothing happens yet.
    #[must_use]
    pub fn new(address: Address, config: Config) -> Self {
        let connector = Arc::new(Connector::new(address, config));
        Self { connector, publisher: Arc::new(Mutex::new(Publishing::Unused)), names: Arc::default() }
    }

    /// Declares the queues of a subscription and starts consuming them into `sender`. Connects again by itself from
    /// then on, with the same queue names.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses.
    pub async fn listen(
        &self,
        subscription: Subscription,
        sender: mpsc::Sender<Arrived<Settlement>>,
    ) -> Result<Consumer, Error> {
        let suffix = self.queue_suffix()?;
        let config = &self.connector.config;
        let topology = topology::subscription(&subscription, &suffix, &config.declare);
        let prefetch = self.prefetch(subscription.prefetch);
        let carries = Carries::Requests;
        Consumer::start(Arc::clone(&self.connector), carries, topology, prefetch, Retry::Forever, sender).await
    }

    /// How many deliveries of a queue are taken at once where so many are wanted.
    #[must_use]
    pub fn prefetch(&self, wanted: u16) -> u16 {
        self.connector.config.prefetch(wanted)
    }

    /// Which connections there are.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.connector.connections.clone()
    }

    /// What tells a queue of this process from those of all others, behind the name of what it is for: 32 hexadecimal
    /// digits, or a name that comes again after a restart.
    ///
    /// # Errors
    ///
    /// [`Error::QueueName`] where the queue manager has none.
    pub fn queue_suffix(&self) -> Result<String, Error> {
        let Some(names) = &self.connector.config.queue_names else {
            return Ok(uuid::Uuid::new_v4().simple().to_string());
        };
        let name = names.claim().map_err(|error| Error::QueueName(error.to_string()))?;
        let suffix = name.to_string();
        lock(&self.names).push(name);
        Ok(suffix)
    }

    /// How long a reply is to be tried whose queue is missing.
    #[must_use]
    pub fn missing_queue_patience(&self) -> Duration {
        self.connector.config.kombu_missing_consumer_retry_timeout
    }

    /// Declares a reply queue and starts consuming it into `sender`.
    ///
    /// # Errors
    ///
    /// As [`Client::listen`], and [`Error::Unreachable`] after the last attempt.
    pub async fn listen_for_replies(
        &self,
        queue: &str,
        retry: Retry,
        sender: mpsc::Sender<Arrived<Settlement>>,
    ) -> Result<Consumer, Error> {
        let topology = topology::replies(queue, &self.connector.config.declare);
        let prefetch = self.prefetch(REPLY_PREFETCH);
        Consumer::start(Arc::clone(&self.connector), Carries::Replies, topology, prefetch, retry, sender).await
    }

    /// Publishes a message, and again where the connection was lost, as often as `retry` allows, until the broker says
    /// what becomes of it or has been silent for too long.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses the login before any connection of this client has succeeded, or
    /// refuses the exchange or this message, [`Error::NoExchange`] where others have not declared theirs, [`Error::TooLarge`] for
    /// its size. [`Error::Unreachable`] after the last
    /// attempt, and after [`Client::close`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the message may have been sent or not.
    pub async fn publish(&self, publication: &Publication, retry: Retry) -> Result<Published, Error> {
        let config = &self.connector.config;
        let mut publication = publication.clone();
        let is_own = publication.copied.is_none();
        if is_own && matches!(publication.destination, Destination::Queue(_)) && !config.direct_mandatory_flag {
            publication.routing = Routing::BestEffort;
        }
        let route = topology::route(&publication.destination, &config.declare);
        if route.key.len().max(route.exchange_name().len()) > MAX_NAME_LENGTH {
            // Callers name their reply queues. No broker has a queue with such a name.
            return Ok(match publication.routing {
                Routing::Mandatory => Published::Unroutable,
                Routing::BestEffort => Published::Confirmed,
            });
        }
        let frame_max = self.connector.frame_max();
        let mut parcel = Arc::new(Parcel::pack(publication, route, config.kombu_compression, frame_max).await);
        let _pending = self.connector.connections.pending().begin();
        let mut backoff = Backoff::new(config);
        let mut attempts = RetryBudget::new(retry, &self.connector);
        let mut lost = 0u32;
        loop {
            let publisher = self.publisher()?;
            let attempted = tokio::select! {
                // First, or one attempt more might be made.
                biased;
                reason = attempts.exhausted() => {
                    return Err(Error::Unreachable { broker: self.connector.to_string(), reason });
                }
                attempted = publisher.publish(Arc::clone(&parcel)) => attempted,
            };
            let broker = || self.connector.to_string();
            match attempted {
                Attempted::Published(published) => return Ok(published),
                Attempted::Refused(Refusal::TooLarge { limit }) => {
                    return Err(Error::TooLarge { broker: broker(), length: parcel.publication.body.len(), limit });
                }
                Attempted::Refused(Refusal::Exchange(reason) | Refusal::Other(reason)) => {
                    return Err(Error::Refused { broker: broker(), reason });
                }
                Attempted::Refused(Refusal::Missing(reason)) => {
                    return Err(Error::NoExchange { broker: broker(), reason });
                }
                Attempted::Again => {
                    attempts.count_lost();
                    lost += 1;
                    if lost == LOST_IN_COMPANY {
                        parcel = Arc::new(parcel.alone());
                    }
                    tokio::time::sleep(backoff.next_retry()).await;
                }
            }
        }
    }

    /// Has copies made of all that is sent to the servers of some topics, which get it as before. Tries every host once;
    /// connects again by itself from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses or has no exchange of theirs, [`Error::Unreachable`].
    pub async fn tap(&self, tapped: topology::Tapped) -> Result<Tap, Error> {
        Tap::start(Arc::clone(&self.connector), tapped).await
    }

    /// A connection on which an operator's command asks and changes things. Tries every host once.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`].
    pub async fn bench(&self) -> Result<Bench, Error> {
        Bench::open(&self.connector).await
    }

    /// Looks at these queues now and then, for as long as the future is polled; notes what it sees by the names beside them.
    pub async fn look_at(&self, queues: Vec<(String, String)>, depths: Depths) {
        depth::look(Arc::clone(&self.connector), queues, depths).await;
    }

    /// Looks whether an exchange exists that others declare.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where it does not, or where the broker refuses altogether.
    pub async fn require_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.connector.connect(&Look(topology::others_exchange(exchange)), Patience::UntilRefused(Retry::Forever)).await
    }

    /// Closes the publishing connection, after what is being published is confirmed or `connect_timeout` has passed.
    /// Consuming connections end with [`Consumer::close`].
    pub async fn close(&self) {
        let before = std::mem::replace(&mut *lock(&self.publisher), Publishing::Closed);
        if let Publishing::Running(publisher) = before {
            publisher.close(self.connector.config.connect_timeout).await;
        }
    }

    /// The way to the publishing task; starts it when it is first needed.
    fn publisher(&self) -> Result<publisher::Handle, Error> {
        let mut publishing = lock(&self.publisher);
        let is_missing = match &*publishing {
            Publishing::Unused => true,
            Publishing::Running(publisher) => publisher.has_ended(),
            Publishing::Closed => false,
        };
        if is_missing {
            *publishing = Publishing::Running(Publisher::start(Arc::clone(&self.connector)));
        }
        match &*publishing {
            Publishing::Running(publisher) => Ok(publisher.handle()),
            Publishing::Unused | Publishing::Closed => Err(Error::Unreachable {
                broker: self.connector.to_string(),
                reason: "this side has closed the connection".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
