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

use crate::journal::{Progress, report::State};

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
    waits: Mutex<Waits>,
    /// Who is told that it waits.
    progress: Progress,
}

#[derive(Debug, Default)]
struct Waits {
    /// How many calls the request waits for.
    count: u32,
    /// Whether its slots are lent meanwhile.
    is_lent: bool,
    /// Whether it counts among those who lend: also where it goes on without its permit, which somebody else has.
    counts: bool,
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

    /// Takes it back where it is free; whether it is held now.
    fn try_back(&self) -> bool {
        let mut held = lock(&self.held);
        if held.is_none() {
            *held = Arc::clone(&self.free).try_acquire_owned().ok();
        }
        held.is_some()
    }

    /// Takes it back when it is free, unless `is_lent` again by then.
    async fn back(&self, is_lent: impl Fn() -> bool) {
        if lock(&self.held).is_some() {
            return;
        }
        if let Ok(permit) = Arc::clone(&self.free).acquire_owned().await
            && !is_lent()
        {
            lock(&self.held).get_or_insert(permit);
        }
    }
}

impl Standing {
    /// A request that holds a permit, and no place yet.
    #[must_use]
    pub fn new(lending: Lending, permit: Arc<Slot>) -> Self {
        let progress = Progress::default();
        Self { lending, permit, place: Mutex::default(), waits: Mutex::default(), progress }
    }

    /// Has an operator see whether it waits.
    #[must_use]
    pub fn telling(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// How far the request is, as an operator sees it.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
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
            if self.permit.try_back() && std::mem::take(&mut lock(&self.waits).counts) {
                self.lending.end();
            }
            let place = lock(&self.place).clone();
            if let Some(place) = place {
                self.progress.enter(State::WaitingForPlace);
                place.back(|| lock(&self.waits).is_lent).await;
                if lock(&self.waits).count == 0 {
                    self.progress.enter(State::Running);
                }
            }
        }
        came
    }

    fn wait(&self) -> Wait<'_> {
        let mut waits = lock(&self.waits);
        if waits.count == 0 && (waits.counts || self.lending.begin()) {
            waits.counts = true;
            waits.is_lent = true;
            self.permit.lend();
            if let Some(place) = &*lock(&self.place) {
                place.lend();
            }
        }
        waits.count += 1;
        self.progress.enter(State::WaitingForCall);
        Wait(self)
    }

    /// One wait is over; whether it was the last, and what is held was lent.
    fn over(&self) -> bool {
        let mut waits = lock(&self.waits);
        waits.count = waits.count.saturating_sub(1);
        if waits.count == 0 {
            self.progress.enter(State::Running);
        }
        waits.count == 0 && std::mem::take(&mut waits.is_lent)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if lock(&self.waits).counts {
            self.lending.end();
        }
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
    use crate::journal::{Arrived, Recorder};

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
    async fn an_operator_sees_that_it_waits_until_the_last_wait_is_over() {
        let recorder = Recorder::default();
        let entry = recorder.begin(&Arrived::default());
        let state = || recorder.activity().requests[0].state;
        for most in [0, 2] {
            let outer = Scene::new(most).request().telling(entry.progress().clone());
            let both = outer.waiting_for(async {
                outer.waiting_for(async { assert_eq!(state(), State::WaitingForCall) }).await;
                assert_eq!(state(), State::WaitingForCall);
            });
            both.await;
            assert_eq!(state(), State::Running, "whether it lends or not");
        }
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
        drop(outer);
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
    async fn who_goes_on_without_its_permit_counts_until_it_ends() {
        let scene = Scene::new(1);
        let outer = scene.request();
        let mut others = None;
        outer
            .waiting_for(async {
                let permit = Arc::clone(&scene.permits).try_acquire_owned().unwrap();
                others = Some(permit);
            })
            .await;
        assert_eq!(scene.free(), (0, 0, 1), "more than one runs, and that is bounded");
        // It waits again, and does not count twice.
        outer.waiting_for(async { assert_eq!(scene.free(), (0, 1, 1)) }).await;
        drop(outer);
        assert_eq!(scene.free(), (0, 1, 0));
    }

    #[tokio::test]
    async fn a_place_that_is_lent_again_is_not_taken_back_meanwhile() {
        let scene = Scene::new(1);
        let outer = scene.request();
        let other = Mutex::new(None);
        let mut first = Box::pin(outer.waiting_for(async {
            *lock(&other) = Arc::clone(&scene.places).try_acquire_owned().ok();
        }));
        assert!(first.as_mut().now_or_never().is_none(), "the place is taken");
        let (is_done, second) = oneshot::channel::<()>();
        let mut second = Box::pin(outer.waiting_for(second));
        assert!(second.as_mut().now_or_never().is_none());
        // The place is free, and stays so for whoever the second waits for.
        drop(lock(&other).take());
        assert!(first.as_mut().now_or_never().is_some());
        assert_eq!(scene.places.available_permits(), 1);
        is_done.send(()).unwrap();
        second.await.unwrap();
        assert_eq!(scene.places.available_permits(), 0);
    }

    #[tokio::test]
    async fn beyond_the_bound_nothing_is_lent_and_a_wait_that_is_dropped_counts_no_more() {
        let scene = Scene::new(0);
        let outer = scene.request();
        outer.waiting_for(async { assert_eq!(scene.free(), (0, 0, 0)) }).await;
        let scene = Scene::new(1);
        let outer = scene.request();
        assert!(outer.waiting_for(std::future::pending::<()>()).now_or_never().is_none());
        drop(outer);
        assert_eq!(scene.free(), (1, 1, 0));
    }
}
