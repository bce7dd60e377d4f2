//! How long requests wait for a service behind that takes nothing.
//!
//! Before it: [`super::forward`] has tried to send one on. After it: it waits, or its caller is told.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long requests wait where the fallback's queue is missing, full or silent, from when it was found to be: as long as a Python
/// service takes to declare its queues again after the broker was away, or to be restarted with an empty queue. After that,
/// callers are told at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Since when the fallback takes nothing.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// How long requests may still wait for its end.
    pub(super) fn left(&self) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(PATIENCE, |since| PATIENCE.saturating_sub(since.elapsed()))
    }

    /// Notes that it has taken nothing.
    pub(super) fn begins(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// Notes that it has taken something.
    pub(super) fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
