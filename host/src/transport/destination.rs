//! Where messages come from and go to.
//!
//! Before it: whoever listens or publishes. After it: [`super::topology`] says what is declared for it.

use std::fmt;

use crate::printable::printable;

/// Bytes of a name in the log. Others choose some of them.
const MAX_SHOWN: usize = 255;

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
    /// What the names of the queues begin with; empty, as oslo.messaging names them. The fanout queue's has none.
    pub queue_prefix: String,
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

/// As it is shown in a log.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic { topic, .. } => write!(f, "{topic}"),
            Self::Server { topic, server, .. } => write!(f, "{topic}.{server}"),
            Self::Fanout { topic } => write!(f, "{topic}_fanout"),
            Self::Queue(queue) => f.write_str(&printable(queue, MAX_SHOWN)),
            Self::Exchange { exchange, routing_key } => write!(f, "{exchange} {}", printable(routing_key, MAX_SHOWN)),
        }
    }
}
