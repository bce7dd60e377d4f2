//! Messages that a request has sent, and of which the broker says nothing for a while.
//!
//! Before it: [`super::work`] answers, buries or forwards. After it: the broker's word. A broker needs milliseconds for it.
//! Where one queue takes seconds, those who wait would hold every permit and so hold up requests for queues that are well: after
//! a moment they wait without. Not so where the broker is away or takes nothing from anybody: then no more is taken than can be
//! answered.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    lending::{Lending, Slot},
    metrics::{Connection, Metrics},
    transport::Destination,
};

/// How long a permit is held for a confirmation: many times what a quorum queue on a slow disk takes.
const MOMENT: Duration = Duration::from_millis(100);

/// Bytes of all messages that wait without a permit.
const MAX_BYTES: usize = 64 << 20;

/// What waits for longer than a moment. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Unconfirmed {
    lending: Lending,
    metrics: Metrics,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many, by destination: who comes for the same waits without a permit at once.
    slow: Mutex<HashMap<Destination, usize>>,
    bytes: AtomicUsize,
}

/// One that waits.
struct Slow<'a> {
    waiting: &'a Waiting,
    destination: &'a Destination,
    bytes: usize,
}

impl Unconfirmed {
    /// Nothing waits.
    pub(super) fn new(lending: Lending, metrics: Metrics) -> Self {
        Self { lending, metrics, waiting: Arc::default() }
    }

    /// Waits for the broker's word on a message of so many bytes; after a moment, without the permit.
    ///
    /// # Cancel safety
    ///
    /// As `sending` is.
    pub(super) async fn wait<T>(
        &self,
        destination: &Destination,
        bytes: usize,
        permit: Option<&Slot>,
        sending: impl Future<Output = T>,
    ) -> T {
        let Some(permit) = permit else { return sending.await };
        let mut sending = pin!(sending);
        while !(self.waiting.is_slow(destination) && self.broker_takes_messages()) {
            if let Ok(said) = timeout(MOMENT, &mut sending).await {
                return said;
            }
            if self.broker_takes_messages() {
                break;
            }
        }
        let slow = self.waiting.begin(destination, bytes);
        let _loan = if slow.is_small() { self.lending.lend_unconfirmed(permit) } else { None };
        sending.await
    }

    fn broker_takes_messages(&self) -> bool {
        let publications = self.metrics.connection(Connection::Publications);
        // There are none where the broker is in this process.
        publications.is_none_or(|publications| publications.open > 0 && publications.blocked == 0)
    }
}

impl Waiting {
    fn is_slow(&self, destination: &Destination) -> bool {
        // Mostly nothing is.
        let slow = self.lock();
        !slow.is_empty() && slow.contains_key(destination)
    }

    fn begin<'a>(&'a self, destination: &'a Destination, bytes: usize) -> Slow<'a> {
        *self.lock().entry(destination.clone()).or_default() += 1;
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        Slow { waiting: self, destination, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, usize>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slow<'_> {
    /// Whether there is room for its message, and those of the others.
    fn is_small(&self) -> bool {
        self.waiting.bytes.load(Ordering::Acquire) <= MAX_BYTES
    }
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        let mut slow = self.waiting.lock();
        if let Some(count) = slow.get_mut(self.destination) {
            *count -= 1;
            if *count == 0 {
                slow.remove(self.destination);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::{sync::Semaphore, time::advance};

    use super::*;
    use crate::transport::{Carries, Connections};

    struct Scene {
        permits: Arc<Semaphore>,
        unconfirmed: Unconfirmed,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                permits: Arc::new(Semaphore::new(2)),
                unconfirmed: Unconfirmed::new(Lending::of(2), Metrics::default()),
            }
        }

        fn permit(&self) -> Slot {
            Slot::new(Arc::clone(&self.permits), Arc::clone(&self.permits).try_acquire_owned().unwrap())
        }
    }

    fn queue(name: &str) -> Destination {
        Destination::Queue(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_more_than_a_moment_waits_without_a_permit_and_who_comes_after_it_at_once() {
        let scene = Scene::new();
        let (ill, well) = (queue("ill"), queue("well"));
        let (first, second) = (scene.permit(), scene.permit());
        let mut waiting = Box::pin(scene.unconfirmed.wait(&ill, 1, Some(&first), std::future::pending::<()>()));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 0, "it is not yet known to be slow");
        advance(MOMENT).await;
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 1);
        let mut next = Box::pin(scene.unconfirmed.wait(&ill, 1, Some(&second), std::future::pending::<()>()));
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 2, "it is known");
        let third = scene.permit();
        let mut other = Box::pin(scene.unconfirmed.wait(&well, 1, Some(&third), std::future::pending::<()>()));
        assert!(other.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 1, "another queue is not");
        drop((waiting, next));
        assert!(!scene.unconfirmed.waiting.is_slow(&ill));
        assert_eq!(scene.unconfirmed.waiting.bytes.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_large_keeps_its_permit() {
        let scene = Scene::new();
        let (ill, permit) = (queue("ill"), scene.permit());
        let mut large =
            Box::pin(scene.unconfirmed.wait(&ill, MAX_BYTES + 1, Some(&permit), std::future::pending::<()>()));
        assert!(large.as_mut().now_or_never().is_none());
        advance(MOMENT).await;
        assert!(large.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_broker_takes_nothing_from_anybody_permits_are_kept() {
        let scene = Scene::new();
        let connections = Connections::default();
        scene.unconfirmed.metrics.tell_of(connections.clone());
        let (queue, permit) = (queue("any"), scene.permit());
        let mut waiting = Box::pin(scene.unconfirmed.wait(&queue, 1, Some(&permit), std::future::pending::<()>()));
        let mut free_after_a_moment = async || {
            assert!(waiting.as_mut().now_or_never().is_none());
            advance(MOMENT).await;
            assert!(waiting.as_mut().now_or_never().is_none());
            scene.permits.available_permits()
        };
        assert_eq!(free_after_a_moment().await, 1, "there is no connection");
        let open = connections.open(Carries::Publications);
        open.blocks(true);
        assert_eq!(free_after_a_moment().await, 1, "it is blocked");
        open.blocks(false);
        assert_eq!(free_after_a_moment().await, 2);
    }
}
