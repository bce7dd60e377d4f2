//! How long the guest of one request has computed, and how long it may.
//!
//! Before it: [`super::turns`] runs the guest step by step, and says how long each step held a thread. After it: the clock
//! that interrupts guests ([`super::state`]) stops one that has had its time. A step ends at a tick at the latest, so a guest has
//! a tick or two more than it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What one request has used. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Cpu {
    limit: Option<Duration>,
    /// In nanoseconds: enough for five hundred years.
    used: Arc<AtomicU64>,
}

/// Why a guest is stopped that has computed for longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("more than {0:?} of CPU time")]
pub(super) struct Spent(pub(super) Duration);

impl Cpu {
    /// Nothing is used yet. Without a limit, nothing ever is too much.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// The guest has held a thread for so long.
    pub(super) fn used(&self, took: Duration) {
        // One step at a time: the counter is shared, never contended.
        self.used.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// # Errors
    ///
    /// [`Spent`] where the guest may compute no longer.
    pub(super) fn check(&self) -> Result<(), Spent> {
        match self.limit {
            Some(limit) if Duration::from_nanos(self.used.load(Ordering::Relaxed)) >= limit => Err(Spent(limit)),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_to_the_limit_and_without_one_to_nothing() {
        let (second, bounded, free) = (Duration::from_secs(1), Cpu::new(Some(Duration::from_secs(2))), Cpu::new(None));
        for cpu in [&bounded, &free] {
            cpu.used(second);
            assert!(cpu.check().is_ok());
            cpu.clone().used(second);
        }
        assert_eq!(bounded.check().unwrap_err().to_string(), "more than 2s of CPU time");
        assert!(free.check().is_ok());
    }
}
