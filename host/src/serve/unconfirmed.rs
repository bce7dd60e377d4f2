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
    lending::{Lending, Loan, Slot},
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
}

/// Room for a message.
struct Bytes<'a> {
    waiting: &'a Waiting,
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
        let mut took = self.broker_takes_messages();
        while !(took && self.waiting.is_slow(destination)) {
            if let Ok(said) = timeout(MOMENT, &mut sending).await {
                return said;
            }
            // What waited for the broker to come back has been sent only now.
            let takes = self.broker_takes_messages();
            if std::mem::replace(&mut took, takes) && takes {
                break;
            }
        }
        let _slow = self.waiting.begin(destination);
        loop {
            // Others may have as many as there may be: then it is asked again.
            if let Some(_loan) = self.lend(permit, bytes) {
                return sending.await;
            }
            if let Ok(said) = timeout(MOMENT, &mut sending).await {
                return said;
            }
        }
    }

    /// Lends a permit, where there is room for the message, and for one more that waits.
    fn lend(&self, permit: &Slot, bytes: usize) -> Option<(Loan, Bytes<'_>)> {
        let bytes = self.waiting.hold(bytes)?;
        Some((self.lending.lend_unconfirmed(permit)?, bytes))
    }

    /// Whether there is a broker that takes messages from anybody.
    pub(super) fn broker_takes_messages(&self) -> bool {
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

    fn begin<'a>(&'a self, destination: &'a Destination) -> Slow<'a> {
        *self.lock().entry(destination.clone()).or_default() += 1;
        Slow { waiting: self, destination }
    }

    /// Room for so many bytes, where there is any.
    fn hold(&self, bytes: usize) -> Option<Bytes<'_>> {
        // Counted first, so that no two take the last of it.
        let held = Bytes { waiting: self, bytes };
        (self.bytes.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) <= MAX_BYTES).then_some(held)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, usize>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        let mut slow = self.waiting.lock();
        if let Some(count) = slow.get_mut(self.destination) {
            *count -= 1;
            if *count == 0 {
                slow.remove(self.destination);
            }
        }
    }
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::{sync::Semaphore, time::advance};

    use super::*;
    use crate::{
        lending::Lent,
        transport::{Carries, Connections},
    };

    struct Scene {
        permits: Arc<Semaphore>,
        unconfirmed: Unconfirmed,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                permits: Arc::new(Semaphore::new(2)),
                unconfirmed: Unconfirmed::new(Lending::of(2, 0), Metrics::default()),
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
    async fn who_finds_as_many_lent_as_may_be_lends_when_one_of_them_is_told() {
        let scene = Scene {
            unconfirmed: Unconfirmed::new(
                Lending::new(Lent { by_callers: 0, unconfirmed: 1, in_line: 0 }),
                Metrics::default(),
            ),
            ..Scene::new()
        };
        let (ill, first, second) = (queue("ill"), scene.permit(), scene.permit());
        let mut waiting = Box::pin(scene.unconfirmed.wait(&ill, 1, Some(&first), std::future::pending::<()>()));
        assert!(waiting.as_mut().now_or_never().is_none());
        advance(MOMENT).await;
        assert!(waiting.as_mut().now_or_never().is_none());
        let mut next = Box::pin(scene.unconfirmed.wait(&ill, 1, Some(&second), std::future::pending::<()>()));
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 1);
        drop(waiting);
        advance(MOMENT).await;
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(scene.permits.available_permits(), 2);
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
        assert_eq!(free_after_a_moment().await, 1, "it has been sent only now");
        assert_eq!(free_after_a_moment().await, 2);
    }
}
