//! What was called recently, so that nobody takes it away by accident.
//!
//! Before it: [`super::Current`] notes every request that finds a handler. After it: [`super::keeper`] asks, before it
//! puts a new version into force.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::version::Version;

/// Versions of one method that are told apart. Clients of one method speak few at a time.
const MAX_VERSIONS: usize = 16;

/// A method under one major version; the rest of a version only orders.
type Key = (Option<String>, u32, String);

/// What was asked for within some time.
#[derive(Debug)]
pub(super) struct Traffic {
    within: Duration,
    /// By method, versions in falling and times in rising order. A lower version that was asked for before a higher one
    /// is left out: whoever serves the higher serves it too.
    seen: Mutex<HashMap<Key, Vec<(Version, Instant)>>>,
}

/// A method that was called recently, in the highest version that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Called {
    pub(super) namespace: Option<String>,
    pub(super) method: String,
    pub(super) version: Version,
}

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { namespace, method, version } = self;
        match namespace {
            Some(namespace) => write!(f, "{namespace}.{method} {version}"),
            None => write!(f, "{method} {version}"),
        }
    }
}

impl Traffic {
    /// Remembers calls for this long; zero remembers none.
    pub(super) fn new(within: Duration) -> Self {
        Self { within, seen: Mutex::default() }
    }

    /// How long calls are remembered.
    pub(super) fn within(&self) -> Duration {
        self.within
    }

    /// Notes a call.
    pub(super) fn note(&self, namespace: Option<&str>, method: &str, version: Version) {
        if self.within.is_zero() {
            return;
        }
        let now = Instant::now();
        let key = (namespace.map(str::to_owned), version.major(), method.to_owned());
        let mut seen = self.lock();
        let versions = seen.entry(key).or_default();
        versions.retain(|(other, _)| *other > version);
        let full = versions.len() >= MAX_VERSIONS;
        match versions.last_mut() {
            // Too many to tell apart: this one counts as the next higher.
            Some(last) if full => last.1 = now,
            _ => versions.push((version, now)),
        }
    }

    /// What was called within the time, forgetting the rest.
    pub(super) fn recent(&self) -> Vec<Called> {
        let mut seen = self.lock();
        seen.retain(|_, versions| {
            versions.retain(|(_, at)| at.elapsed() < self.within);
            !versions.is_empty()
        });
        let called = |(key, versions): (&Key, &Vec<(Version, Instant)>)| {
            let (version, _) = versions.first()?;
            Some(Called { namespace: key.0.clone(), method: key.2.clone(), version: *version })
        };
        let mut recent: Vec<Called> = seen.iter().filter_map(called).collect();
        recent.sort();
        recent
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<(Version, Instant)>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn called(traffic: &Traffic) -> Vec<String> {
        traffic.recent().iter().map(|called| format!("{} {}", called.method, called.version)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_recent_for_as_long_as_was_said() {
        let traffic = Traffic::new(10 * MINUTE);
        traffic.note(None, "a", Version::new(1, 0, 0));
        tokio::time::advance(6 * MINUTE).await;
        traffic.note(None, "b", Version::new(1, 0, 0));
        assert_eq!(called(&traffic), ["a 1.0", "b 1.0"]);
        tokio::time::advance(6 * MINUTE).await;
        assert_eq!(called(&traffic), ["b 1.0"]);
        tokio::time::advance(6 * MINUTE).await;
        assert!(traffic.recent().is_empty() && traffic.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_highest_version_counts_for_as_long_as_it_is_recent() {
        let traffic = Traffic::new(10 * MINUTE);
        for (minor, after) in [(3, 0), (1, 4), (2, 4), (0, 4)] {
            tokio::time::advance(after * MINUTE).await;
            traffic.note(None, "a", Version::new(1, minor, 0));
        }
        traffic.note(None, "a", Version::new(2, 0, 0));
        traffic.note(Some("n"), "a", Version::new(1, 0, 0));
        // 1.3 was twelve minutes ago, 1.2 four; the other major version and the namespace are methods of their own.
        assert_eq!(called(&traffic), ["a 1.2", "a 2.0", "a 1.0"]);
        tokio::time::advance(7 * MINUTE).await;
        assert_eq!(called(&traffic), ["a 1.0", "a 2.0", "a 1.0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_ever_other_versions_use_bounded_memory_and_are_never_forgotten_early() {
        let traffic = Traffic::new(10 * MINUTE);
        for minor in (0..1000).rev() {
            traffic.note(None, "a", Version::new(1, minor, 0));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(traffic.lock().values().all(|versions| versions.len() <= MAX_VERSIONS));
        tokio::time::advance(10 * MINUTE - Duration::from_millis(2)).await;
        // Only the last call is recent; it counts as the lowest version that was still told apart.
        assert_eq!(called(&traffic), ["a 1.984"]);
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_time_at_all_nothing_is_remembered() {
        let traffic = Traffic::new(Duration::ZERO);
        traffic.note(None, "a", Version::new(1, 0, 0));
        assert!(traffic.recent().is_empty() && traffic.lock().is_empty());
    }
}
