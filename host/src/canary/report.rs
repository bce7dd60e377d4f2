//! A canary as it is told: in the list of handlers, as text and as JSON.
//!
//! Before it: the keeper has it. After it: an operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Counts, Window};

/// A canary: the one that runs, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryState {
    /// How it is.
    pub stage: Stage,
    /// Why it pauses or has ended like this, in one line; `null` where there is nothing to say.
    pub why: Option<String>,
    /// The number of the generation that is tried.
    pub generation: u64,
    /// SHA-256 of its component, in hexadecimal.
    pub digest: String,
    /// The number of the generation that serves beside it.
    pub beside: u64,
    /// The share of requests that it gets, or got last: `10%`.
    pub share: String,
    /// The step, counted from 1.
    pub step: usize,
    /// The shares of all steps.
    pub steps: Vec<String>,
    /// By what requests are told apart.
    pub by: String,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it came to this stage, in seconds since 1970.
    pub since: u64,
    /// What became of its requests.
    pub new: Tried,
    /// What became of those of the generation beside it, meanwhile.
    pub old: Tried,
}

/// What became of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// All that have ended.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
}

/// How a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It goes on by itself.
    Running,
    /// It keeps its share until an operator says more; it still goes back by itself.
    Paused,
    /// It serves all requests.
    Promoted,
    /// The generation beside it serves all requests again.
    RolledBack,
    /// Something else has come into force, or the handler was removed.
    Overtaken,
}

impl Stage {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
            Self::Overtaken => "overtaken",
        }
    }

    /// Whether there is nothing more to come.
    #[must_use]
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }
}

/// What became of the requests of the new version, and of those of the old one.
#[must_use]
pub fn tried<'a>(windows: impl Iterator<Item = &'a Window>) -> (Tried, Tried) {
    let add = |tried: &mut Tried, counts: &Counts| {
        tried.requests += counts.requests;
        tried.failures += counts.failures();
    };
    let mut sums = (Tried::default(), Tried::default());
    for method in windows.flat_map(|window| window.values()) {
        add(&mut sums.0, &method.new);
        add(&mut sums.1, &method.old);
    }
    sums
}
