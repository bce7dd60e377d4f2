//! Why a request that a handler sends has no result.
//!
//! Before it: [`super::Session`]. After it: the guest, which may well tell its caller. So nothing here names a broker's
//! address or anything else of the host's; that is logged.

use serde::{Deserialize, Serialize};

use crate::{client, envelope::Failure, metrics::Sent, transport};

/// Why there is no result. The guest gets the kind and the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The other side says so.
    Remote(Box<Failure>),
    /// No reply in time, or no heartbeat.
    TimedOut(String),
    /// Nobody is there, or nobody who makes sense.
    Unavailable(String),
    /// It is not granted.
    Denied(String),
    /// A limit was reached.
    Limited(String),
    /// It makes no sense.
    Invalid(String),
}

/// Effects of a handler that has succeeded and that are not all released. `Display` is for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handler succeeded, but only {released} of its {all} effects were released: {reason}")]
pub struct Unreleased {
    /// How many were, in the order of the handler's making.
    pub released: usize,
    /// How many there were.
    pub all: usize,
    /// Why the next one was not.
    pub reason: String,
}

impl Error {
    /// The line for a person.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Remote(failure) => failure.to_string(),
            Self::TimedOut(text)
            | Self::Unavailable(text)
            | Self::Denied(text)
            | Self::Limited(text)
            | Self::Invalid(text) => text.clone(),
        }
    }

    /// What became of the request, in a word.
    pub(super) fn ending(&self) -> Sent {
        match self {
            Self::Remote(_) => Sent::Failed,
            Self::TimedOut(_) => Sent::TimedOut,
            Self::Unavailable(_) => Sent::Unavailable,
            Self::Denied(_) => Sent::Denied,
            Self::Limited(_) => Sent::Limited,
            Self::Invalid(_) => Sent::Invalid,
        }
    }
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Remote(failure) => Self::Remote(failure),
            client::Error::TimedOut { .. } | client::Error::Silent { .. } => Self::TimedOut(error.to_string()),
            client::Error::InvalidTarget { .. }
            | client::Error::MalformedVersion(_)
            | client::Error::VersionCap { .. } => Self::Invalid(error.to_string()),
            client::Error::NotSent { .. }
            | client::Error::QueueFull { .. }
            | client::Error::NotConfirmed { .. }
            | client::Error::Undeliverable { .. } => Self::Unavailable(error.to_string()),
            client::Error::InvalidReply { ref source, .. } => Self::Unavailable(format!("{error}: {source}")),
            client::Error::Transport(transport::Error::TooLarge { length, limit, .. }) => {
                Self::Invalid(format!("the request has {length} bytes, and the broker takes no more than {limit}"))
            }
            client::Error::NotDelivered { .. } | client::Error::Transport(_) => {
                tracing::warn!(%error, "a request of a handler was not taken");
                Self::Unavailable("the broker does not take it".to_owned())
            }
        }
    }
}
