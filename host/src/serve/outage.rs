//! How long requests wait for a service behind that takes nothing.
//!
//! Before it: [`super::forward`] has tried to send one on. After it: it waits, or its caller is told.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::late::Trouble;
use crate::transport::Destination;

/// How long requests wait where the fallback's queue is missing, full or silent, from when it was found to be: as long as a Python
/// service takes to declare its queues again after the broker was away, or to be restarted with an empty queue. After that,
/// callers are told at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// An outage that nobody has found for so long is over: the next one is another.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// What takes nothing, and since when. There is one destination for each topic.
#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<HashMap<Destination, Outage>>);

#[derive(Clone, Copy, Debug)]
struct Outage {
    began: Instant,
    /// When it was found last.
    found: Instant,
    trouble: Trouble,
}

impl Outages {
    /// How long requests may still wait for its end. Zero: each looks for itself, and does not wait.
    pub(super) fn left(&self, destination: &Destination) -> Duration {
        match self.lock().get(destination) {
            Some(outage) if !outage.is_forgotten() => PATIENCE.saturating_sub(outage.began.elapsed()),
            Some(_) | None => PATIENCE,
        }
    }

    /// Why it takes nothing, as far as that was found.
    pub(super) fn trouble(&self, destination: &Destination) -> Trouble {
        self.lock().get(destination).map_or(Trouble::Silent, |outage| outage.trouble)
    }

    /// Notes that it has taken nothing.
    pub(super) fn found(&self, destination: &Destination, trouble: Trouble) {
        let (mut outages, now) = (self.lock(), Instant::now());
        let before = outages.get(destination).filter(|outage| !outage.is_forgotten());
        let outage = Outage { began: before.map_or(now, |outage| outage.began), found: now, trouble };
        outages.insert(destination.clone(), outage);
    }

    /// Notes that it has taken something.
    pub(super) fn ends(&self, destination: &Destination) {
        // Mostly there is none.
        self.lock().remove(destination);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, Outage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn is_forgotten(&self) -> bool {
        self.found.elapsed() > FORGOTTEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_for_once_and_another_one_anew() {
        let (outages, other) = (Outages::default(), Destination::Queue("other".into()));
        let destination = Destination::Queue("q".into());
        assert_eq!(outages.left(&destination), PATIENCE);
        // As long as it is found again and again, it is the same.
        for second in 0..40 {
            outages.found(&destination, Trouble::Missing);
            let left = PATIENCE.saturating_sub(Duration::from_secs(second));
            assert_eq!((outages.left(&destination), outages.left(&other)), (left, PATIENCE));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(outages.trouble(&destination), Trouble::Missing);
        outages.ends(&destination);
        assert_eq!(outages.left(&destination), PATIENCE);
        outages.found(&destination, Trouble::Missing);
        tokio::time::advance(FORGOTTEN * 2).await;
        outages.found(&destination, Trouble::Missing);
        assert_eq!(outages.left(&destination), PATIENCE, "nobody has asked for long");
    }
}
