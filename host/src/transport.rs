//! The seam between the service and whatever carries its messages.
//!
//! Before it: [`crate::host`] connects and subscribes. After it: [`crate::serve`] takes deliveries and settles them,
//! [`crate::reply`] and [`crate::client`] publish. Bytes and destinations pass here; what is in the bytes is the
//! envelope's business, and no type of an AMQP library appears in a signature.

mod connections;
pub mod copy;
mod deliveries;
mod depths;
mod destination;
mod error;
pub mod memory;
mod message;
mod pending;
mod publication;
pub mod rabbit;
pub mod topology;
pub mod url;

use std::time::Duration;

use tokio::sync::mpsc;

pub use connections::{Carries, Connected, Connections};
pub use deliveries::{Deliveries, Delivery, Settlement};
pub use depths::{Depth, Depths, shown};
pub use destination::{Destination, Subscription};
pub use error::Error;
pub use message::{
    ATTEMPTS, Attempts, Disposition, EXCHANGE, FORWARDED, FORWARDS, Header, Headers, Message, Origin, ROUTING_KEY,
};
pub use pending::Pending;
pub use publication::{Company, Copied, Lifetime, Publication, Published, Retry, Routing};
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
        let wanted = subscription.prefetch;
        Ok(match self {
            Self::Memory(broker) => {
                let (sender, receiver) = mpsc::channel(1);
                let consumer = broker.listen(&subscription, sender);
                Deliveries::new(consumer.queues(), wanted, Source::Memory(receiver, consumer))
            }
            Self::Rabbit(client) => {
                let (sender, receiver) = mpsc::channel(1);
                let consumer = client.listen(subscription, sender).await?;
                Deliveries::new(consumer.queues(), client.prefetch(wanted), Source::Rabbit(receiver, consumer))
            }
        })
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
        let queues = vec![queue.to_owned()];
        Ok(match self {
            Self::Memory(broker) => {
                let (sender, receiver) = mpsc::channel(1);
                Deliveries::new(
                    queues,
                    rabbit::REPLY_PREFETCH,
                    Source::Memory(receiver, broker.listen_for_replies(queue, sender)),
                )
            }
            Self::Rabbit(client) => {
                let (sender, receiver) = mpsc::channel(1);
                let consumer = client.listen_for_replies(queue, retry, sender).await?;
                Deliveries::new(queues, client.prefetch(rabbit::REPLY_PREFETCH), Source::Rabbit(receiver, consumer))
            }
        })
    }

    /// Sends a message and waits for what the broker says of it, across reconnects: what a lost connection leaves open is
    /// sent again. Where the broker is connected, this ends in half a minute. The caller bounds the time without one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses, [`Error::NoExchange`] where others have not declared theirs,
    /// [`Error::TooLarge`] where it takes no message of that size.
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
            Self::Memory(broker) => {
                #[cfg(test)]
                crate::testing::silent_where_asked(&publication.destination).await;
                Ok(broker.publish(publication))
            }
            Self::Rabbit(client) => client.publish(publication, retry).await,
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

    /// The connections to the broker; `None` where there is none to connect to.
    #[must_use]
    pub fn connections(&self) -> Option<Connections> {
        match self {
            Self::Memory(_) => None,
            Self::Rabbit(client) => Some(client.connections()),
        }
    }

    /// Looks at these queues every few seconds for as long as the future is polled, and notes what it sees by
    /// the names beside them. In memory, nothing is seen.
    pub async fn look_at(&self, queues: Vec<(String, String)>, depths: Depths) {
        match self {
            Self::Memory(_) => {}
            Self::Rabbit(client) => client.look_at(queues, depths).await,
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
