//! What is said over the control socket: each a JSON object in one line.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    canary::policy::Wishes,
    catalog::{
        keeper::{Aborted, Change, Error, Keeper, RolledBack},
        shelf::HandlerState,
    },
    forward::{MethodState, OnFailure},
    gate,
    journal::report::{Activity, Failure},
    metrics::health::Health,
    shadow,
};

/// What an operator asks for: `{"command": "rollback", "name": "calculator"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
    /// What is served, what was, and what was refused.
    List {},
    /// What is counted.
    Metrics {},
    /// How the service is.
    Status {},
    /// What is logged.
    LogLevel {
        /// What is to be logged from now on; without it, nothing changes.
        #[serde(default)]
        levels: Option<String>,
    },
    /// What is in flight, and how the methods do.
    Requests {},
    /// What failed lately.
    Failures {},
    /// Try a file, put it into force and into the directory.
    Add {
        /// Its absolute path, as the host sees it.
        file: PathBuf,
        /// The handler's name; without it, the file's.
        #[serde(default)]
        name: Option<String>,
        /// Whether methods that were called recently may go, and no gate is to be passed.
        #[serde(default)]
        force: bool,
        /// What is demanded of it, beside what manifests demand.
        #[serde(default, skip_serializing_if = "gate::Wishes::is_nothing")]
        gate: gate::Wishes,
    },
    /// Try a file on a share of the requests of the handler that it is a version of.
    Canary {
        /// Its absolute path, as the host sees it.
        file: PathBuf,
        /// The handler's name; without it, the file's.
        #[serde(default)]
        name: Option<String>,
        /// Whether methods that were called recently may go, and no gate is to be passed.
        #[serde(default)]
        force: bool,
        /// What is demanded of it before it begins, beside what manifests demand.
        #[serde(default, skip_serializing_if = "gate::Wishes::is_nothing")]
        gate: gate::Wishes,
        /// What is wanted of it.
        #[serde(default)]
        policy: Wishes,
    },
    /// Run a file on a share of the requests of the handler that it is a version of, after they are answered, and compare.
    Shadow {
        /// Its absolute path, as the host sees it.
        file: PathBuf,
        /// The handler's name; without it, the file's.
        #[serde(default)]
        name: Option<String>,
        /// Whether methods that were called recently may go.
        #[serde(default)]
        force: bool,
        /// What is wanted of it.
        #[serde(default)]
        policy: shadow::policy::Wishes,
    },
    /// Put the version on trial into force now.
    Promote {
        /// The handler's name.
        name: String,
        /// Whether methods that were called recently may go.
        #[serde(default)]
        force: bool,
    },
    /// End the version on trial, or the shadow; what serves goes on serving.
    Abort {
        /// The handler's name.
        name: String,
    },
    /// Keep the version on trial at its share.
    Pause {
        /// The handler's name.
        name: String,
    },
    /// Have the version on trial go on by itself again.
    Resume {
        /// The handler's name.
        name: String,
    },
    /// What is forwarded, and what was.
    Forward {},
    /// Forward other requests than before.
    ForwardSet(ForwardSet),
    /// Stop serving a handler and take it out of the directory.
    Remove {
        /// Its name.
        name: String,
    },
    /// Go back to the version before; refused while one is on trial.
    Rollback {
        /// The handler's name.
        name: String,
    },
}

/// What is to be forwarded from now on: `{"command": "forward-set", "methods": "compute_task.*", "side": "serve 10%"}`. What is
/// absent stays as it is; where all is, what the configuration says is in force again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardSet {
    /// `METHOD`, `NAMESPACE.METHOD`, `NAMESPACE.*` or `*`.
    pub methods: String,
    /// `serve`, `forward`, or a share such as `serve 10%`.
    #[serde(default)]
    pub side: Option<String>,
    /// What becomes of one whose handler fails.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
}

/// What is forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardState {
    /// The exchange of the service behind.
    pub exchange: String,
    /// Its topic; `null` is each request's own.
    pub topic: Option<String>,
    /// The rules in force, the widest first.
    pub rules: Vec<RuleState>,
    /// What went where since the start, by method.
    pub methods: Vec<MethodState>,
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleState {
    /// What it is for.
    pub methods: String,
    /// What it says of who answers; `null` is a handler that has the method, or else the service behind.
    pub side: Option<String>,
    /// What it says of handlers' failures.
    pub on_failure: Option<OnFailure>,
}

/// What the host answers: `{"answer": "removed"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum ControlAnswer {
    /// To [`ControlRequest::List`].
    Handlers(Handlers),
    /// To [`ControlRequest::Metrics`].
    Metrics {
        /// As Prometheus reads it.
        text: String,
    },
    /// To [`ControlRequest::Status`].
    Status(Health),
    /// To [`ControlRequest::Forward`] and [`ControlRequest::ForwardSet`].
    Forward(ForwardState),
    /// To [`ControlRequest::LogLevel`].
    LogLevel(LogLevels),
    /// To [`ControlRequest::Requests`].
    Requests(Activity),
    /// To [`ControlRequest::Failures`].
    Failures(Failures),
    /// Nothing has changed.
    Failed {
        /// What kind of reason it is.
        kind: Kind,
        /// Why.
        message: String,
    },
    /// To [`ControlRequest::Add`] and all others that change what is served.
    #[serde(untagged)]
    Changed(Changed),
}

/// All handlers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handlers {
    /// Where they are.
    pub directory: PathBuf,
    /// By name.
    pub handlers: Vec<HandlerState>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevels {
    /// A level, or several by target: `info,handler=debug`.
    pub levels: String,
}

/// What failed lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failures {
    /// The latest first.
    pub failures: Vec<Failure>,
}

/// What has become of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Changed {
    /// It is in force, for the first time.
    Added {
        /// Its number.
        generation: u64,
    },
    /// It is in force, in another's place.
    Replaced {
        /// Its number.
        generation: u64,
        /// The number of the one before.
        instead_of: u64,
    },
    /// It gets a share of the requests of another.
    OnTrial {
        /// Its number.
        generation: u64,
        /// The number of the one that serves.
        beside: u64,
    },
    /// Its runs are compared with those of another.
    Shadowed {
        /// Its number.
        generation: u64,
        /// The number of the one that serves.
        beside: u64,
    },
    /// Its runs are compared no more.
    ShadowEnded,
    /// It keeps its share until somebody says more.
    Paused,
    /// It goes on by itself.
    Resumed,
    /// It is on trial no more.
    Aborted,
    /// It was in force already.
    Unchanged {
        /// Its number.
        generation: u64,
    },
    /// It is not served any more.
    Removed,
    /// The version before is in force.
    RolledBack {
        /// Its number.
        generation: u64,
        /// The number of the one that was rolled back.
        instead_of: u64,
        /// Why a restart would not serve the same; `null` where it would.
        directory: Option<String>,
    },
}

/// Why nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The version cannot be served.
    Refused,
    /// No such handler, or no earlier version of it.
    Unknown,
    /// The directory cannot be written.
    Directory,
    /// The request makes no sense.
    Request,
    /// Who asks may not.
    Denied,
    /// A fault of the host's.
    Internal,
}

impl ControlAnswer {
    pub(crate) fn failed(kind: Kind, message: String) -> Self {
        Self::Failed { kind, message }
    }

    pub(crate) fn list(keeper: &Keeper) -> Self {
        Self::Handlers(Handlers { directory: keeper.directory().to_owned(), handlers: keeper.list() })
    }

    pub(crate) fn added(added: Result<Change, Error>) -> Self {
        added.map_or_else(Self::from, |change| {
            Self::Changed(match change {
                Change::Added { generation } => Changed::Added { generation },
                Change::Replaced { generation, instead_of } => Changed::Replaced { generation, instead_of },
                Change::OnTrial { generation, beside } => Changed::OnTrial { generation, beside },
                Change::Shadowed { generation, beside } => Changed::Shadowed { generation, beside },
                Change::Unchanged { generation } => Changed::Unchanged { generation },
            })
        })
    }

    pub(crate) fn remove(keeper: &Keeper, name: &str) -> Self {
        keeper.remove(name).map_or_else(Self::from, |()| Self::Changed(Changed::Removed))
    }

    pub(crate) fn paused(keeper: &Keeper, name: &str) -> Self {
        keeper.pause(name).map_or_else(Self::from, |()| Self::Changed(Changed::Paused))
    }

    pub(crate) fn resumed(keeper: &Keeper, name: &str) -> Self {
        keeper.resume(name).map_or_else(Self::from, |()| Self::Changed(Changed::Resumed))
    }

    pub(crate) fn aborted(keeper: &Keeper, name: &str) -> Self {
        keeper.abort(name).map_or_else(Self::from, |aborted| {
            Self::Changed(match aborted {
                Aborted::Canary => Changed::Aborted,
                Aborted::Shadow => Changed::ShadowEnded,
            })
        })
    }

    pub(crate) fn rollback(keeper: &Keeper, name: &str) -> Self {
        keeper.rollback(name).map_or_else(Self::from, |RolledBack { generation, instead_of, directory }| {
            Self::Changed(Changed::RolledBack { generation, instead_of, directory })
        })
    }
}

impl From<Error> for ControlAnswer {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Refused(_) | Error::Drops { .. } | Error::Gate(_) | Error::Overtaken | Error::Unwanted => {
                Kind::Refused
            }
            Error::IsShadowed { .. } | Error::OnTrial { .. } | Error::NothingBeside { .. } | Error::Newer { .. } => {
                Kind::Refused
            }
            Error::NothingTried { .. }
            | Error::Unknown { .. }
            | Error::NothingEarlier { .. }
            | Error::NoTrial { .. } => Kind::Unknown,
            Error::Directory { .. } => Kind::Directory,
        };
        Self::failed(kind, error.to_string())
    }
}
