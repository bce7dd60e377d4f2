//! A shadow as it is told: in the list of handlers, as text and as JSON.
//!
//! Before it: the keeper has it. After it: an operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::replay::Verdict;

/// A shadow: the one that runs, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowState {
    /// How it is.
    pub stage: ShadowStage,
    /// Why it has ended like this, in one line; `null` where there is nothing to say.
    pub why: Option<String>,
    /// The number of the generation that is compared.
    pub generation: u64,
    /// SHA-256 of its component, in hexadecimal.
    pub digest: String,
    /// The number of the generation that serves.
    pub beside: u64,
    /// The share of requests that are compared: `10%`.
    pub share: String,
    /// By what requests are told apart.
    pub by: String,
    /// Whether what differs from itself is ignored.
    pub noise: bool,
    /// Paths that may differ.
    pub ignore: Vec<String>,
    /// After so many compared requests it ends by itself; `null` where it does not.
    pub until: Option<u64>,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it came to this stage, in seconds since 1970.
    pub since: u64,
    /// What was compared.
    pub compared: Counts,
    /// What was not.
    pub not_compared: NotCompared,
    /// By method, those with most differences first.
    pub methods: Vec<MethodState>,
}

/// What comparisons came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// It did and answered the same.
    pub same: u64,
    /// It answered something else.
    pub differs: u64,
    /// It asked others for something else, or for less.
    pub diverged: u64,
    /// It did not answer, where the version that serves did.
    pub failed: u64,
}

/// Requests of the share that were not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotCompared {
    /// There was no room where they wait, or no time.
    pub dropped: u64,
    /// They, with what their handler was told, are too large.
    pub too_large: u64,
    /// No handler's code has seen them to the end: they were refused, or given up.
    pub not_run: u64,
    /// The version that serves ran out of time, which no other run repeats.
    pub timed_out: u64,
    /// The version that serves does not do the same twice.
    pub noisy: u64,
}

/// What was found of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodState {
    /// The method, with its namespace, and with its major version where that is not 1.
    pub method: String,
    /// What comparisons came to.
    pub counts: Counts,
    /// Where it differs, the most frequent first, up to 20.
    pub places: Vec<PlaceState>,
    /// Differences at other places.
    pub elsewhere: u64,
    /// Paths at which the version that serves differs from itself.
    pub noise: Vec<String>,
    /// The latest requests that differed, the latest first.
    pub examples: Vec<Example>,
}

/// A place where two versions differ. No value is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceState {
    /// `differs`, `diverged` or `failed`.
    pub outcome: String,
    /// A path of the result, in which `*` is any position, or data that is a name; an import; or `outcome`.
    pub place: String,
    /// What is there in place of what.
    pub how: String,
    /// Requests.
    pub count: u64,
}

/// A request that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The id of the call that it is a part of; `null` where it has none.
    pub request_id: Option<String>,
    /// Its recording, for `nova-host replay`; `null` where none was kept.
    pub recording: Option<String>,
    /// When, in seconds since 1970.
    pub at: u64,
    /// `differs`, `diverged` or `failed`.
    pub outcome: String,
    /// The first place.
    pub place: String,
}

/// How a shadow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShadowStage {
    /// Requests are compared.
    Running,
    /// It has compared as many as it should.
    Done,
    /// An operator has ended it.
    Aborted,
    /// Something else has come into force, a canary has begun, or the handler was removed.
    Overtaken,
}

impl ShadowStage {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Overtaken => "overtaken",
        }
    }
}

impl Counts {
    /// That of a verdict.
    pub(super) fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Same => &mut self.same,
            Verdict::Differs => &mut self.differs,
            Verdict::Diverged => &mut self.diverged,
            Verdict::Failed => &mut self.failed,
        }
    }

    /// Those that were not the same.
    #[must_use]
    pub fn not_same(&self) -> u64 {
        self.differs + self.diverged + self.failed
    }

    /// All.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.same + self.not_same()
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, one| Self {
            same: sum.same + one.same,
            differs: sum.differs + one.differs,
            diverged: sum.diverged + one.diverged,
            failed: sum.failed + one.failed,
        })
    }
}

impl NotCompared {
    /// All.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.dropped + self.too_large + self.not_run + self.timed_out + self.noisy
    }
}
