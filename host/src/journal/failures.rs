//! The last failures: so many of each handler and so many over all, so that a handler that always fails hides no other's.
//!
//! Before it: [`super::Entry::end`]. After it: [`super::report`].

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::report::Failure;

/// Failures of all handlers together.
const MAX: usize = 200;

/// Failures of one handler; those that no handler had count as one handler's, for callers can make any number of them.
const MAX_OF_ONE: usize = 20;

/// The last failures, the latest last.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<VecDeque<Failure>>);

impl Failures {
    /// Adds one; the oldest of its handler goes where there are too many of it, else the oldest of all.
    pub(super) fn add(&self, failure: Failure) {
        let mut all = self.lock();
        let mut of_one = all.iter().enumerate().filter(|(_, kept)| kept.requested.handler == failure.requested.handler);
        let oldest = of_one.next().map(|(at, _)| at);
        let goes = match oldest {
            Some(oldest) if 1 + of_one.count() >= MAX_OF_ONE => all.remove(oldest),
            _ if all.len() >= MAX => all.pop_front(),
            _ => None,
        };
        all.push_back(failure);
        drop(all);
        // Freed when nobody waits for the lock.
        drop(goes);
    }

    /// All, the latest first.
    pub(super) fn told(&self) -> Vec<Failure> {
        self.lock().iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Failure>> {
        // A panic while the lock was held leaves a whole list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::report::Requested;

    fn failure(handler: Option<&str>, at_ms: u64) -> Failure {
        Failure {
            at_ms,
            outcome: "failed".into(),
            requested: Requested { handler: handler.map(str::to_owned), ..Requested::default() },
            class: "C".into(),
            message: String::new(),
            frames: Vec::new(),
            limit: None,
            recording: None,
            took_us: 0,
        }
    }

    #[test]
    fn a_handler_that_always_fails_hides_no_others_failures() {
        let failures = Failures::default();
        failures.add(failure(Some("rare"), 1));
        (2..1000).for_each(|at| failures.add(failure(Some("busy"), at)));
        (1000..2000).for_each(|at| failures.add(failure(None, at)));
        let told = failures.told();
        let of = |handler| {
            told.iter().filter(move |kept| kept.requested.handler.as_deref() == handler).map(|kept| kept.at_ms)
        };
        assert_eq!(of(Some("rare")).collect::<Vec<_>>(), [1]);
        assert_eq!(of(Some("busy")).collect::<Vec<_>>(), (980..1000).rev().collect::<Vec<_>>());
        assert_eq!(of(None).count(), MAX_OF_ONE);
    }

    #[test]
    fn of_many_handlers_the_latest_are_kept() {
        let failures = Failures::default();
        (0..1000).for_each(|at| failures.add(failure(Some(&format!("h{}", at % 100)), at)));
        let kept: Vec<u64> = failures.told().iter().map(|kept| kept.at_ms).collect();
        assert_eq!(kept, (1000 - MAX as u64..1000).rev().collect::<Vec<_>>());
    }
}
