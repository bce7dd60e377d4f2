//! The journal as it is told: plain values, as JSON on the control socket and for a page.
//!
//! Before it: [`super::Recorder`] has the numbers. After it: `nova-host requests` and `nova-host failures`. All text here is
//! printable and bounded. Nothing of contexts, arguments or results is in it, but for the request id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What runs now, what failed lately, and how the methods do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// Requests in flight, the oldest first.
    pub requests: Vec<LiveRequest>,
    /// Failures, the latest first: at most 200, and at most 20 of each handler.
    pub failures: Vec<Failure>,
    /// Methods of handlers that were asked for in the last five minutes or that failed since the start, by handler, namespace,
    /// method and major version.
    pub methods: Vec<MethodStats>,
}

/// What runs now, and how the methods do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// As in [`Journal::requests`].
    pub requests: Vec<LiveRequest>,
    /// As in [`Journal::methods`].
    pub methods: Vec<MethodStats>,
}

/// What was asked for, by whom, and who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// Whether somebody waits for the answer.
    pub kind: Kind,
    /// The method that was asked for.
    pub method: String,
    /// The namespace; `null` is the null namespace.
    pub namespace: Option<String>,
    /// The version that was asked for; `null` is none, which means 1.0.
    pub version: Option<String>,
    /// The handler that has it, or had it; `null` where none was found.
    pub handler: Option<String>,
    /// The first 12 digits of the SHA-256 of the handler's component.
    pub digest: Option<String>,
    /// The number of the handler's generation.
    pub generation: Option<u64>,
    /// The request id of its context.
    pub request_id: Option<String>,
    /// The message id by which the caller knows its reply; `null` for a cast.
    pub message_id: Option<String>,
    /// The trace that it is part of, 32 hexadecimal digits; `null` where there is none.
    pub trace_id: Option<String>,
}

/// A request that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveRequest {
    /// Milliseconds since the host took it.
    pub age_ms: u64,
    /// How far it is.
    pub state: State,
    /// What it is.
    #[serde(flatten)]
    pub requested: Requested,
}

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody does.
    #[default]
    Call,
    /// Nobody does.
    Cast,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its handler is looked for, it is not its turn, or its handler runs as many requests as it may.
    #[default]
    WaitingForPlace,
    /// Its handler runs.
    Running,
    /// Its handler waits for others that it has called.
    WaitingForCall,
    /// Its handler has succeeded, and what it sent and kept takes effect.
    Releasing,
    /// It goes on to the service behind this one.
    Forwarding,
    /// Its outcome is there: the answer is on its way, or a dead letter, and then its message is settled.
    Answering,
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// The outcome in a word, as in the metric `nova_host_requests_total`: `failed`, `trapped`, `timed_out` and so on.
    pub outcome: String,
    /// What it was.
    #[serde(flatten)]
    pub requested: Requested,
    /// The class of the exception that the caller gets, with its module: `nova_host.errors.HandlerTrapped`.
    pub class: String,
    /// Its message: one line, cut at 1 KiB.
    pub message: String,
    /// Where the guest was when it was stopped, outermost first; at most 32 frames.
    pub frames: Vec<String>,
    /// The limit that it ran into: the name of a setting below `limits.`.
    pub limit: Option<String>,
    /// The id of its recording, where it was recorded.
    #[serde(default)]
    pub recording: Option<String>,
    /// Microseconds from its start to its outcome.
    pub took_us: u64,
}

/// How a method of a handler does. At most 1024 methods are told apart; the others count together, as method `(others)` of
/// handler `(others)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodStats {
    /// The handler.
    pub handler: String,
    /// The namespace; `null` is the null namespace.
    pub namespace: Option<String>,
    /// The method.
    pub method: String,
    /// The major version of those that asked for it: versions that differ in it are told apart.
    #[serde(default)]
    pub major: u64,
    /// Requests that came to their end in the last minute.
    pub per_minute: u64,
    /// Requests that came to their end in the last five minutes: those that the times are of.
    pub requests: u64,
    /// Half of those took no more microseconds than this; at most a quarter too large, and 0 where there is none.
    pub p50_us: u64,
    /// Of a hundred of those, 99 took no more microseconds than this; at most a quarter too large, and 0 where there is none.
    pub p99_us: u64,
    /// Failures since the start, by class, the most frequent first. At most 16 classes; the others count together, as
    /// `(others)`.
    pub failures: Vec<ClassCount>,
    /// When a request ended by a fault last, in milliseconds since 1970: a trap, a limit, a timeout, and whatever else is no exception that the
    /// handler raises by itself. `null` where none has since the start.
    #[serde(default)]
    pub last_fault_ms: Option<u64>,
}

/// Failures of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassCount {
    /// The class of the exception that callers got, with its module.
    pub class: String,
    /// How many.
    pub count: u64,
}

impl State {
    /// All, in their order.
    pub(super) const ALL: [Self; 6] = [
        Self::WaitingForPlace,
        Self::Running,
        Self::WaitingForCall,
        Self::Releasing,
        Self::Forwarding,
        Self::Answering,
    ];

    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForPlace => "waiting for a place",
            Self::Running => "running",
            Self::WaitingForCall => "waiting for a call",
            Self::Releasing => "releasing",
            Self::Forwarding => "forwarding",
            Self::Answering => "answering",
        }
    }
}

impl Kind {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Cast => "cast",
        }
    }
}
