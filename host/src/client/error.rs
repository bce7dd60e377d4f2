//! Why there is no result.
//!
//! Before it: [`super::Client`]. After it: whoever called; [`crate::cli`] makes exit codes of it. Each is the equivalent
//! of one of oslo.messaging's exceptions, which its comment names.

use std::time::Duration;

use crate::{
    envelope::{self, Failure},
    transport,
    version::Version,
};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The remote side says so (`RemoteError`, or the exception itself): its class, module, message, traceback and
    /// arguments.
    #[error("{0}")]
    Remote(Box<Failure>),
    /// Nobody answered in time (`MessagingTimeout`).
    #[error("no reply to {method} within {timeout:?}")]
    TimedOut {
        /// The method.
        method: String,
        /// How long the call could take.
        timeout: Duration,
    },
    /// No heartbeat came in time (`MessagingTimeout` too): the server has died, or sends none.
    #[error("no heartbeat for {method} within {monitor:?}: its server has died, or it sends none")]
    Silent {
        /// The method.
        method: String,
        /// How long a silence could last.
        monitor: Duration,
    },
    /// The broker did not take the request in time. The reference would wait on.
    #[error("the broker did not take {method} within {timeout:?}: {why}")]
    NotSent {
        /// The method.
        method: String,
        /// How long it was tried.
        timeout: Duration,
        /// What is known of the reason.
        why: &'static str,
    },
    /// A queue does not take the request (`MessageDeliveryFailure`): it has a limit and rejects what is beyond it, or
    /// cannot store.
    #[error("queue `{queue}` of {who} does not take messages now: it is full, or cannot store them")]
    QueueFull {
        /// Who was asked.
        who: String,
        /// The routing key; mostly the queue's name.
        queue: String,
    },
    /// The broker has not said whether it has the request, in the attempts that were allowed (`MessageDeliveryFailure`).
    #[error("the broker does not confirm {method}: queue `{queue}` may have no leader; it may arrive, or not")]
    NotConfirmed {
        /// The method.
        method: String,
        /// The routing key; mostly the queue's name.
        queue: String,
    },
    /// The broker did not take the request in the attempts that were allowed (`MessageDeliveryFailure`).
    #[error("the broker did not take {method} in {attempts} attempt{}", if *attempts == 1 { "" } else { "s" })]
    NotDelivered {
        /// The method.
        method: String,
        /// How many there were.
        attempts: u64,
        /// What went wrong in the last one.
        source: transport::Error,
    },
    /// No queue takes it, and it was to be mandatory (`MessageUndeliverable`).
    #[error("nobody serves {who}: is the service running, and on this exchange, topic and server name?")]
    Undeliverable {
        /// Who was asked.
        who: String,
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// The target will not do (`InvalidTarget`).
    #[error("{reason}:{target}")]
    InvalidTarget {
        /// Why.
        reason: &'static str,
        /// The target.
        target: String,
    },
    /// The target's version is none (`MessagingException`).
    #[error("Version must contain a major and minor integer. Got {0}")]
    MalformedVersion(String),
    /// The target's version exceeds the cap (`RPCVersionCapError`).
    #[error(
        "Requested message version, {} is incompatible.  It needs to be equal in major version and less than or \
         equal in minor version as the specified version cap {cap}.",
        version.as_deref().unwrap_or("None")
    )]
    VersionCap {
        /// What was asked for; `None` where no version was.
        version: Option<String>,
        /// The cap.
        cap: Version,
    },
    /// The server's reply cannot be read.
    #[error("the reply to {method} cannot be read")]
    InvalidReply {
        /// The method.
        method: String,
        /// What is wrong with it.
        source: envelope::Error,
    },
    /// The broker refuses, or this client is closed.
    #[error(transparent)]
    Transport(#[from] transport::Error),
}
