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
pub(super) struct Outage(Mutex<Option<Span>>);

#[derive(Clone, Copy, Debug)]
struct Span {
    began: Instant,
    /// When it was found last.
    found: Instant,
}

impl Outage {
    /// How long requests may still wait for its end. Zero: each looks for itself, and does not wait.
    pub(super) fn left(&self) -> Duration {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(span) if !span.is_forgotten() => PATIENCE.saturating_sub(span.began.elapsed()),
            Some(_) | None => PATIENCE,
        }
    }

    /// Notes that it has taken nothing.
    pub(super) fn found(&self) {
        let (mut span, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let began = span.filter(|span| !span.is_forgotten()).map_or(now, |span| span.began);
        *span = Some(Span { began, found: now });
    }

    /// Notes that it has taken something.
    pub(super) fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Span {
    /// Whether nobody has found it for so long that the next one is another.
    fn is_forgotten(&self) -> bool {
        self.found.elapsed() > 2 * PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_for_once_and_another_one_anew() {
        let outage = Outage::default();
        assert_eq!(outage.left(), PATIENCE);
        outage.found();
        tokio::time::advance(PATIENCE / 3).await;
        assert_eq!(outage.left(), PATIENCE - PATIENCE / 3);
        // As long as it is found again and again, it is the same.
        for _ in 0..10 {
            outage.found();
            tokio::time::advance(PATIENCE).await;
            assert_eq!(outage.left(), Duration::ZERO);
        }
        outage.ends();
        assert_eq!(outage.left(), PATIENCE);
        outage.found();
        tokio::time::advance(3 * PATIENCE).await;
        assert_eq!(outage.left(), PATIENCE, "nobody has asked for long");
        outage.found();
        assert_eq!(outage.left(), PATIENCE);
    }
}
