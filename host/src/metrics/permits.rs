//! How many requests the service takes at once, and how many more it would take now.
//!
//! Before it: [`crate::serve`] holds the permits. After it: [`super::Metrics`] writes what is free when somebody asks.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::sync::Semaphore;

use super::Metrics;

/// A service is busy that has fewer free permits than one in so many.
const BUSY: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Permits {
    of: OnceLock<Of>,
    /// Taken by the loop that pulls, while there is nothing to pull.
    idle: AtomicU32,
    total: Gauge,
    free: Gauge,
}

/// What is told of.
struct Of {
    total: u16,
    permits: Arc<Semaphore>,
    /// How many more may run.
    seats: Box<dyn Fn() -> usize + Send + Sync>,
}

impl fmt::Debug for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Of").field("total", &self.total).finish_non_exhaustive()
    }
}

/// A permit that waits for a delivery. It counts as free until this is dropped.
#[derive(Debug)]
pub struct Idle(Metrics);

impl Permits {
    pub(super) fn register(all: &mut Registry) -> Self {
        let permits = Self::default();
        all.register("permits", "Requests that are taken at once (max_in_flight)", permits.total.clone());
        all.register("permits_free", "Requests that would be taken now", permits.free.clone());
        permits
    }

    /// Brings the gauges up to date.
    pub(super) fn note(&self) {
        let Some((total, free)) = self.now() else { return };
        self.total.set(total.into());
        self.free.set(i64::try_from(free).unwrap_or(i64::MAX));
    }

    /// How many there are, and how many of them are free.
    fn now(&self) -> Option<(u16, usize)> {
        let Of { total, permits, seats } = self.of.get()?;
        let idle = usize::try_from(self.idle.load(Ordering::Relaxed)).unwrap_or_default();
        Some((*total, permits.available_permits().saturating_add(idle).min(seats()).min((*total).into())))
    }
}

impl Metrics {
    /// Tells of these permits from now on; `total` requests may run, and `seats` says how many more.
    pub fn tell_of_permits(
        &self,
        total: u16,
        permits: Arc<Semaphore>,
        seats: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.0.permits.of.set(Of { total, permits, seats: Box::new(seats) }).ok();
    }

    /// Whether the service has better things to do than what nobody waits for: more than three quarters of its permits are taken.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.permits.now().is_some_and(|(total, free)| free.saturating_mul(BUSY) < usize::from(total))
    }

    /// A permit was taken for which there is no delivery yet.
    #[must_use]
    pub fn idle(&self) -> Idle {
        self.0.permits.idle.fetch_add(1, Ordering::Relaxed);
        Idle(self.clone())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.0.permits.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_permit_that_waits_for_a_delivery_is_free() {
        let (metrics, permits) = (Metrics::default(), Arc::new(Semaphore::new(3)));
        let has = |line: &str| metrics.encode().lines().any(|written| written == line);
        assert!(has("nova_host_permits 0"));
        let seats = Arc::new(AtomicU32::new(3));
        let told = Arc::clone(&seats);
        metrics.tell_of_permits(3, Arc::clone(&permits), move || told.load(Ordering::Relaxed).try_into().unwrap());
        let working = permits.clone().acquire_owned().await.unwrap();
        let waiting = permits.clone().acquire_owned().await.unwrap();
        let idle = metrics.idle();
        assert!(has("nova_host_permits 3") && has("nova_host_permits_free 2"));
        drop(idle);
        assert!(has("nova_host_permits_free 1"));
        drop((working, waiting));
        assert!(has("nova_host_permits_free 3"));
        seats.store(0, Ordering::Relaxed);
        assert!(has("nova_host_permits_free 0"), "no more may run, though some would be taken to wait in line");
    }

    #[tokio::test]
    async fn a_service_is_busy_while_three_quarters_of_its_permits_are_taken() {
        let (metrics, permits) = (Metrics::default(), Arc::new(Semaphore::new(8)));
        assert!(!metrics.is_busy());
        metrics.tell_of_permits(8, Arc::clone(&permits), || 8);
        let taken = permits.clone().acquire_many_owned(6).await.unwrap();
        assert!(!metrics.is_busy());
        let one = permits.clone().acquire_owned().await.unwrap();
        assert!(metrics.is_busy());
        drop((taken, one));
        assert!(!metrics.is_busy());
    }
}
