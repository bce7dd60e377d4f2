//! What has become of the requests of both versions, by method, in one step: what a verdict is made of.
//!
//! Before it: [`super::tally`] has counted. After it: [`super::plan`]. Plain numbers.

use std::{collections::BTreeMap, fmt};

use super::bar::{Part, Stratum};

/// Those of one step.
pub type Window = BTreeMap<Key, Method>;

/// A method of the handler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// The method.
    pub method: String,
    /// The major version that was asked for: those of one name and two of these have nothing to do with each other.
    pub major: u32,
}

/// What one method has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Method {
    /// On the version that serves.
    pub old: Counts,
    /// On the version that is tried.
    pub new: Counts,
    /// The requests that were slower than they may be, at each of [`PERCENTILES`].
    pub slower: [Slower; 2],
}

/// The times that are compared: that of the request in the middle, and that of the slowest of a hundred.
pub const PERCENTILES: [u64; 2] = [50, 99];

/// What requests came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that have ended.
    pub requests: u64,
    /// Those that failed, by how.
    pub classes: BTreeMap<Class, u64>,
}

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    /// Whether the handler did not answer at all: it trapped, ran out of time or memory, or gave what is no answer.
    pub is_fault: bool,
    /// The exception's class with its module, or the word for the fault.
    pub name: String,
}

/// How the requests that were answered compare in time. A hit is a request of the old version above its own percentile, and one of the
/// new version above the same time, or what more it may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slower {
    /// The old version's percentile, in microseconds.
    pub old_us: u64,
    /// The new version's.
    pub new_us: u64,
    /// The counts.
    pub stratum: Stratum,
}

impl Counts {
    /// All that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.classes.values().sum()
    }

    /// Those that failed like this.
    #[must_use]
    pub fn part(&self, class: &Class) -> Part {
        Part { hits: self.classes.get(class).copied().unwrap_or_default(), of: self.requests }
    }

    /// Those that failed at all.
    #[must_use]
    pub fn failed(&self) -> Part {
        Part { hits: self.failures(), of: self.requests }
    }
}

impl Method {
    /// What failed like this, of either version.
    #[must_use]
    pub fn of(&self, class: &Class) -> Stratum {
        Stratum { old: self.old.part(class), new: self.new.part(class) }
    }

    /// What failed, of either version.
    #[must_use]
    pub fn failed(&self) -> Stratum {
        Stratum { old: self.old.failed(), new: self.new.failed() }
    }
}

/// As operators write it: `NAMESPACE.METHOD`, with the major version where it is not the first.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}.")?;
        }
        f.write_str(&self.method)?;
        if self.major == 1 { Ok(()) } else { write!(f, " of version {}", self.major) }
    }
}
