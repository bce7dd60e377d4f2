//! What a request holds that others need, lent while it waits for them.
//!
//! Before it: [`crate::serve`] takes a permit for a request, and [`crate::dispatch`] a place among those of its handler.
//! After it: [`crate::capability`] lends both while the handler waits for a call. Without that, a handler that calls its
//! own service would wait for itself as soon as every permit is held by one that waits.
//!
//! How many are lent is bounded: those who wait hold their instances and their deliveries. Beyond the bound, who waits
//! keeps what it holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The fewest that may be lent at once in a service.
const LEAST_LENT: u16 = 64;

/// The most: each has an instance with its memory.
const MOST_LENT: u16 = 1024;

/// How many requests of a service may wait for others without holding what they need.
#[must_use]
pub fn most_lent(max_in_flight: u16) -> u16 {
    max_in_flight.clamp(LEAST_LENT, MOST_LENT)
}

/// What is lent in a service. Clones are the same.
#[derive(Clone, Debug)]
pub struct Lending(Arc<watch::Sender<u16>>, u16);

/// One of a limited number of places, which its holder may lend.
#[derive(Debug)]
pub struct Slot {
    free: Arc<Semaphore>,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

/// What a request holds.
#[derive(Debug)]
pub struct Standing {
    lending: Lending,
    /// Taken back only if it is free: who is answered goes on, or those who came meanwhile would hold up those who have
    /// begun.
    permit: Arc<Slot>,
    /// Waited for when it is taken back: a handler never runs more requests than it allows.
    place: Mutex<Option<Arc<Slot>>>,
    /// How many calls it waits for, and whether its slots are lent meanwhile.
    waits: Mutex<(u32, bool)>,
}

/// A request that waits. Dropped, it waits no longer.
struct Wait<'a>(&'a Standing);

impl Lending {
    /// Nothing is lent; at most so many may be.
    #[must_use]
    pub fn new(most: u16) -> Self {
        Self(Arc::new(watch::Sender::new(0)), most)
    }

    /// How many are lent, as it changes.
    #[must_use]
    pub fn lent(&self) -> watch::Receiver<u16> {
        self.0.subscribe()
    }

    fn begin(&self) -> bool {
        self.0.send_if_modified(|lent| {
            let may = *lent < self.1;
            *lent += u16::from(may);
            may
        })
    }

    fn end(&self) {
        self.0.send_modify(|lent| *lent = lent.saturating_sub(1));
    }
}

impl Slot {
    /// A slot that is held.
    #[must_use]
    pub fn new(free: Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Self {
        Self { free, held: Mutex::new(Some(permit)) }
    }

    /// Gives it up for good, whoever else knows of it.
    pub fn release(&self) {
        self.lend();
    }

    fn lend(&self) {
        drop(lock(&self.held).take());
    }

    /// Takes it back where it is free.
    fn try_back(&self) {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            *lock(&self.held) = Some(permit);
        }
    }

    /// Takes it back when it is free.
    async fn back(&self) {
        if let Ok(permit) = Arc::clone(&self.free).acquire_owned().await {
            *lock(&self.held) = Some(permit);
        }
    }
}

impl Standing {
    /// A request that holds a permit, and no place yet.
    #[must_use]
    pub fn new(lending: Lending, permit: Arc<Slot>) -> Self {
        Self { lending, permit, place: Mutex::default(), waits: Mutex::default() }
    }

    /// The request has a place among those of its handler.
    pub fn enter(&self, place: Option<Arc<Slot>>) {
        *lock(&self.place) = place;
    }

    /// Waits for something, and lends what is held until it is there.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, what was lent is not taken back: the request ends.
    pub async fn waiting_for<T>(&self, others: impl Future<Output = T>) -> T {
        let wait = self.wait();
        let came = others.await;
        let is_last_lender = wait.end();
        if is_last_lender {
            self.permit.try_back();
            let place = lock(&self.place).clone();
            if let Some(place) = place {
                place.back().await;
            }
        }
        came
    }

    fn wait(&self) -> Wait<'_> {
        let mut waits = lock(&self.waits);
        if waits.0 == 0 && self.lending.begin() {
            waits.1 = true;
            self.permit.lend();
            if let Some(place) = &*lock(&self.place) {
                place.lend();
            }
        }
        waits.0 += 1;
        Wait(self)
    }

    /// One wait is over; whether it was the last, and what is held was lent.
    fn over(&self) -> bool {
        let mut waits = lock(&self.waits);
        waits.0 = waits.0.saturating_sub(1);
        let is_last_lender = waits.0 == 0 && std::mem::take(&mut waits.1);
        if is_last_lender {
            self.lending.end();
        }
        is_last_lender
    }
}

impl Wait<'_> {
    fn end(self) -> bool {
        let standing = self.0;
        std::mem::forget(self);
        standing.over()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.over();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held cannot leave more than a count half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    struct Scene {
        lending: Lending,
        permits: Arc<Semaphore>,
        places: Arc<Semaphore>,
    }

    impl Scene {
        fn new(most: u16) -> Self {
            let one = || Arc::new(Semaphore::new(1));
            Self { lending: Lending::new(most), permits: one(), places: one() }
        }

        fn request(&self) -> Standing {
            let slot = |free: &Arc<Semaphore>| {
                let permit = Arc::clone(free).try_acquire_owned().unwrap();
                Arc::new(Slot::new(Arc::clone(free), permit))
            };
            let standing = Standing::new(self.lending.clone(), slot(&self.permits));
            standing.enter(Some(slot(&self.places)));
            standing
        }

        fn free(&self) -> (usize, usize, u16) {
            (self.permits.available_permits(), self.places.available_permits(), *self.lending.lent().borrow())
        }
    }

    #[tokio::test]
    async fn what_is_held_is_lent_while_its_holder_waits() {
        let scene = Scene::new(2);
        let outer = scene.request();
        assert_eq!(scene.free(), (0, 0, 0));
        outer
            .waiting_for(async {
                assert_eq!(scene.free(), (1, 1, 1));
                // The request that is waited for runs by them.
                drop(scene.request());
            })
            .await;
        assert_eq!(scene.free(), (0, 0, 0));
        drop(outer);
        assert_eq!(scene.free(), (1, 1, 0));
    }

    #[tokio::test]
    async fn a_place_is_waited_for_and_a_permit_is_not() {
        let scene = Scene::new(2);
        let outer = scene.request();
        let mut other = None;
        let mut waiting = Box::pin(outer.waiting_for(async { other = Some(scene.request()) }));
        assert!(waiting.as_mut().now_or_never().is_none(), "the handler's place is taken");
        drop(waiting);
        drop(other);
        assert_eq!(scene.free(), (1, 1, 0));
    }

    #[tokio::test]
    async fn several_waits_of_one_request_lend_once() {
        let scene = Scene::new(2);
        let outer = scene.request();
        let (first_is_done, first) = oneshot::channel::<()>();
        let (second_is_done, second) = oneshot::channel::<()>();
        let both = async { tokio::join!(outer.waiting_for(first), outer.waiting_for(second)) };
        let mut both = Box::pin(both);
        assert!(both.as_mut().now_or_never().is_none());
        first_is_done.send(()).unwrap();
        assert!(both.as_mut().now_or_never().is_none());
        assert_eq!(scene.free(), (1, 1, 1), "one of them still waits");
        second_is_done.send(()).unwrap();
        both.await.0.unwrap();
        assert_eq!(scene.free(), (0, 0, 0));
    }

    #[tokio::test]
    async fn beyond_the_bound_nothing_is_lent_and_a_wait_that_is_dropped_counts_no_more() {
        let scene = Scene::new(0);
        let outer = scene.request();
        outer.waiting_for(async { assert_eq!(scene.free(), (0, 0, 0)) }).await;
        let scene = Scene::new(1);
        let outer = scene.request();
        assert!(outer.waiting_for(std::future::pending::<()>()).now_or_never().is_none());
        assert_eq!(scene.free(), (1, 1, 0));
    }
}
