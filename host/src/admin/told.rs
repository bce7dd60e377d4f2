//! What the admin API takes and answers, as types: what is sent is made of them, and so is what is documented.
//!
//! Before it: [`crate::operate`] has answered. After it: JSON. Most are those of the control socket, without the word for which
//! answer it is: the path says that.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::shelf::HandlerState,
    control::protocol::{ControlAnswer, ForwardState},
    forward::OnFailure,
    journal::report::{Activity, Failure},
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

/// All handlers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Handlers {
    /// Where they are.
    directory: PathBuf,
    /// By name.
    handlers: Vec<HandlerState>,
}

/// What failed lately.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Failures {
    /// The latest first.
    failures: Vec<Failure>,
}

/// What is logged.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevels {
    /// A level, or several by target: `info,handler=debug`.
    pub(super) levels: String,
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

/// What has become of a handler.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(super) enum Changed {
    /// It is served, for the first time.
    Added {
        /// Its number.
        generation: u64,
    },
    /// It is served, in another's place.
    Replaced {
        /// Its number.
        generation: u64,
        /// The number of the one before.
        instead_of: u64,
    },
    /// It was served already.
    Unchanged {
        /// Its number.
        generation: u64,
    },
    /// It is not served any more.
    Removed,
    /// The version before is served.
    RolledBack {
        /// Its number.
        generation: u64,
        /// The number of the one that was rolled back.
        instead_of: u64,
        /// Why a restart would not serve the same; `null` where it would.
        directory: Option<String>,
    },
}

/// Who you are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Session {
    /// The name of the token, or of the certificate.
    pub(super) name: String,
    /// What you may.
    pub(super) role: Role,
}

impl Told for Handlers {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::Handlers { directory, handlers } => Ok(Self { directory, handlers }),
            other => Err(other.into()),
        }
    }
}

impl Told for Health {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::Status(health) => Ok(health),
            other => Err(other.into()),
        }
    }
}

impl Told for Activity {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::Requests(activity) => Ok(activity),
            other => Err(Box::new(other)),
        }
    }
}

impl Told for Failures {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::Failures { failures } => Ok(Self { failures }),
            other => Err(Box::new(other)),
        }
    }
}

impl Told for LogLevels {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::LogLevel { levels } => Ok(Self { levels }),
            other => Err(other.into()),
        }
    }
}

impl Told for ForwardState {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        match answer {
            ControlAnswer::Forward(state) => Ok(state),
            other => Err(other.into()),
        }
    }
}

impl Told for Changed {
    fn of(answer: ControlAnswer) -> Result<Self, Box<ControlAnswer>> {
        Ok(match answer {
            ControlAnswer::Added { generation } => Self::Added { generation },
            ControlAnswer::Replaced { generation, instead_of } => Self::Replaced { generation, instead_of },
            ControlAnswer::Unchanged { generation } => Self::Unchanged { generation },
            ControlAnswer::Removed => Self::Removed,
            ControlAnswer::RolledBack { generation, instead_of, directory } => {
                Self::RolledBack { generation, instead_of, directory }
            }
            other => return Err(other.into()),
        })
    }
}
