//! Why the transport cannot do what was asked.

use super::url;

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
    /// The broker was reached, and has no exchange that others declare.
    #[error("{broker} refuses: {reason}")]
    NoExchange {
        /// `host:port`, never with credentials.
        broker: String,
        /// What it said and what to do.
        reason: String,
    },
    /// The broker was reached and takes no message of this size.
    #[error("the message has {length} bytes, and {broker} takes no more than {limit} (its max_message_size)")]
    TooLarge {
        /// `host:port`, never with credentials.
        broker: String,
        /// Bytes of the message's body.
        length: usize,
        /// What the broker takes.
        limit: usize,
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
