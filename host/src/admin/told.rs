//! What the admin API takes and answers, as types: what is sent is made of them, and so is what is documented.
//!
//! Before it: [`crate::operate`] has answered. After it: JSON. Most are the types of the control socket, without the word for which
//! answer it is: the path says that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    control::protocol::{Changed, ControlAnswer, Failures, ForwardState, Handlers, LogLevels},
    forward::OnFailure,
    journal::report::Activity,
    metrics::health::Health,
    operate::Role,
};

/// What an answer of an operation may be.
pub(super) trait Told: Serialize + JsonSchema + Sized {
    /// Takes it out of the answer.
    ///
    /// # Errors
    ///
    /// The answer, where it is another.
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>>;
}

/// A rule of forwarding. What is absent stays as it is; where both are, what is configured is in force again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardRule {
    /// `serve`, `forward`, or a share such as `serve 10%`.
    #[serde(default)]
    pub(super) side: Option<String>,
    /// What becomes of a request whose handler fails.
    #[serde(default)]
    pub(super) on_failure: Option<OnFailure>,
}

/// Who you are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Session {
    /// The name of the token, or of the certificate.
    pub(super) name: String,
    /// What you may.
    pub(super) role: Role,
}

macro_rules! told {
    ($($variant:ident => $told:ty),* $(,)?) => {$(
        impl Told for $told {
            fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
                match answer {
                    ControlAnswer::$variant(told) => Ok(told),
                    other => Err(Box::new(other)),
                }
            }
        }
    )*};
}

told! {
    Handlers => Handlers,
    Status => Health,
    Requests => Activity,
    Failures => Failures,
    LogLevel => LogLevels,
    Forward => ForwardState,
    Changed => Changed,
}
