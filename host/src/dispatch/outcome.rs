//! What becomes of a request, and why one is refused.
//!
//! Before it: [`super`] has looked a request up, or run it. After it: [`crate::reply`] says what the caller gets.

use crate::{
    capability::Unreleased,
    envelope::{Failure, Text},
    metrics::{Ending, Limit},
    sandbox::Fault,
    settings::Bytes,
    trace::{Span, Value},
    version::Malformed,
};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler's result.
    Replied(Text),
    /// The handler's own failure, which passes unchanged.
    Failed(Failure),
    /// No handler was started.
    Refused(Refusal),
    /// The handler leaves it to others, and there are none.
    Declined {
        /// The method asked for.
        method: String,
    },
    /// It is for the service behind this one, and did not get there.
    Unforwarded {
        /// Where it should have gone.
        fallback: String,
        /// Why it did not.
        reason: String,
    },
    /// The handler did not answer.
    Faulted(Fault),
    /// The handler succeeded, and its effects could not all be released.
    Unreleased(Unreleased),
    /// It was begun as often as is allowed and never came to an end.
    Exhausted {
        /// How often.
        attempts: u32,
    },
    /// The host itself panicked while it handled it.
    Panicked,
}

/// Why no handler was started. The first seven are the reference's, with its texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An endpoint serves this version, and does not have the method.
    #[error("Endpoint does not support RPC method {method}")]
    NoSuchMethod {
        /// The method asked for.
        method: String,
    },
    /// No endpoint of this namespace serves this version.
    #[error("Endpoint does not support RPC version {version}. Attempted method: {method}")]
    UnsupportedVersion {
        /// The version asked for.
        version: String,
        /// The method asked for.
        method: String,
    },
    /// The version cannot be read.
    #[error(transparent)]
    MalformedVersion(Malformed),
    /// The version is not text.
    #[error("'{python_type}' object has no attribute 'split'")]
    VersionType {
        /// What it is instead.
        python_type: &'static str,
    },
    /// The method is not text.
    #[error("attribute name must be string, not '{python_type}'")]
    MethodType {
        /// What it is instead.
        python_type: &'static str,
    },
    /// The arguments are not an object.
    #[error("'{python_type}' object has no attribute 'items'")]
    ArgumentsType {
        /// What they are instead.
        python_type: &'static str,
    },
    /// The host's own method takes none.
    #[error("NovaHost.describe() got an unexpected keyword argument '{name}'")]
    UnexpectedArgument {
        /// The name of one that was given.
        name: String,
    },
    /// The arguments are too large for this handler.
    #[error("the arguments have {length} bytes, more than {limit} (limits.arguments)")]
    ArgumentsTooLarge {
        /// Their length.
        length: usize,
        /// The limit.
        limit: Bytes,
    },
    /// The handler is busy for as long as a request may take.
    #[error("the handler runs as many requests as it may (limits.concurrency)")]
    Busy,
}

impl Outcome {
    /// The outcome in a word, for log and metrics.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self::Replied(_) => Ending::Replied,
            Self::Failed(_) => Ending::Failed,
            Self::Refused(_) => Ending::Refused,
            Self::Declined { .. } => Ending::Declined,
            Self::Unforwarded { .. } => Ending::Unforwarded,
            Self::Faulted(fault) => fault.ending(),
            Self::Unreleased(_) => Ending::Unreleased,
            Self::Exhausted { .. } => Ending::Exhausted,
            Self::Panicked => Ending::Panicked,
        }
    }

    /// The module and the class of the handler's own failure, where it is one.
    #[must_use]
    pub fn exception(&self) -> Option<(&str, &str)> {
        match self {
            Self::Failed(failure) => Some((&failure.module, &failure.class)),
            _ => None,
        }
    }

    /// Says in a span what became of it: the outcome, the limit where it was one, and the class of an exception.
    pub fn mark(&self, span: &Span) {
        span.note(|span| {
            span.set("nova_host.outcome", Value::from(self.ending().as_str()));
            span.set("nova_host.limit", self.limit().map(|limit| Value::from(limit.as_str())));
            match self {
                Self::Replied(_) => {}
                Self::Failed(failure) => span.fail(&failure.class),
                other => span.fail(other.ending().as_str()),
            }
        });
    }

    /// The limit that it ran into, if it was one.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Refused(Refusal::ArgumentsTooLarge { .. }) => Some(Limit::Arguments),
            Self::Refused(Refusal::Busy) => Some(Limit::Concurrency),
            Self::Faulted(Fault::TimedOut { .. }) => Some(Limit::Timeout),
            Self::Faulted(Fault::OutOfCpu { .. }) => Some(Limit::Cpu),
            Self::Faulted(Fault::OutOfMemory { .. }) => Some(Limit::Memory),
            Self::Faulted(Fault::OutOfStack { .. }) => Some(Limit::Stack),
            Self::Faulted(Fault::OutOfTables { .. }) => Some(Limit::Tables),
            Self::Faulted(Fault::OutOfInstances { .. }) => Some(Limit::Instances),
            Self::Faulted(Fault::ResultTooLarge { .. }) => Some(Limit::Result),
            Self::Replied(_) | Self::Failed(_) | Self::Refused(_) | Self::Faulted(_) => None,
            Self::Declined { .. }
            | Self::Unforwarded { .. }
            | Self::Unreleased(_)
            | Self::Exhausted { .. }
            | Self::Panicked => None,
        }
    }
}
