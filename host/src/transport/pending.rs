//! What is being published and is not confirmed yet, and for how long.
//!
//! Before it: [`super::rabbit`] is asked to publish. After it: [`crate::metrics`], for whoever wants to know whether the broker
//! takes what is sent. It counts from the first attempt to the last word, over connections that are lost in between.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What is being published. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<Begun>>);

#[derive(Debug, Default)]
struct Begun {
    next: u64,
    /// By number, so that the oldest is the first.
    since: BTreeMap<u64, Instant>,
}

/// A publication that has no end yet.
#[derive(Debug)]
pub(crate) struct One {
    pending: Pending,
    number: u64,
}

impl Pending {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.begun().since.len()
    }

    /// How old the oldest is; zero where there is none.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.begun().since.first_key_value().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    /// Counts one until it is dropped.
    pub(crate) fn begin(&self) -> One {
        let mut begun = self.begun();
        let number = begun.next;
        begun.next += 1;
        begun.since.insert(number, Instant::now());
        One { pending: self.clone(), number }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.pending.begun().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_one_that_has_waited_for_longest() {
        let pending = Pending::default();
        assert_eq!((pending.count(), pending.oldest()), (0, Duration::ZERO));
        let first = pending.begin();
        std::thread::sleep(Duration::from_millis(2));
        let second = pending.begin();
        assert_eq!(pending.count(), 2);
        let oldest = pending.oldest();
        assert!(oldest >= Duration::from_millis(2));
        drop(first);
        assert_eq!(pending.count(), 1);
        drop(second);
        assert_eq!(pending.oldest(), Duration::ZERO);
    }
}
