//! What a request holds that others need, lent while it waits for them.
//!
//! Before it: [`crate::serve`] takes a permit for a request, and [`crate::dispatch`] a place among those of its handler.
//! After it: [`crate::capability`] lends both while the handler waits for a call. Without that, a handler that calls its
//! own service would wait for itself as soon as every permit is held by one that waits.
//!
//! A permit is lent as well while the broker says nothing of a reply, and while a request waits in line for its turn
//! ([`crate::serve`]).
//!
//! How many are lent is bounded: those who wait hold their instances and their deliveries. Beyond the bound, who waits
//! keeps what it holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    fair::Seat,
    journal::{Progress, report::State},
};

/// The fewest that may be lent at once in a service.
const LEAST_LENT: u16 = 64;

/// The most: each has an instance with its memory.
const MOST_LENT: u16 = 1024;

/// How many requests of a service may wait for others without holding what they need.
#[must_use]
pub fn most_lent(max_in_flight: u16) -> u16 {
    max_in_flight.clamp(LEAST_LENT, MOST_LENT)
}

/// The most permits that are lent by requests of whose answer the broker says nothing: four times as many as there are. They hold
/// their answers, and no instance.
const UNCONFIRMED_SHARE: u16 = 4;

/// What is lent in a service. Clones are the same.
#[derive(Clone, Debug)]
pub struct Lending {
    lent: Arc<watch::Sender<Lent>>,
    most: Lent,
}

/// How many permits are lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lent {
    /// By requests that wait for others.
    pub by_callers: u16,
    /// By requests of whose answer the broker says nothing.
    pub unconfirmed: u16,
    /// By requests that wait in line for their turn.
    pub in_line: u16,
}

/// A permit that is lent. Its holder counts among those who lend until this is dropped.
#[derive(Debug)]
pub struct Loan(Lending, Kind);

/// Who lends without waiting for others.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Unconfirmed,
    InLine,
}

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
    /// Taken back only if it is free, as the permit is.
    seat: Option<Arc<Seat>>,
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
    /// Of a service that takes so many requests at once, `in_line` of which may wait in line besides. Nothing is lent yet.
    #[must_use]
    pub fn of(max_in_flight: u16, in_line: u16) -> Self {
        let unconfirmed = max_in_flight.saturating_mul(UNCONFIRMED_SHARE).clamp(LEAST_LENT, MOST_LENT);
        Self::new(Lent { by_callers: most_lent(max_in_flight), unconfirmed, in_line })
    }

    /// At most so many may be lent; nothing is yet.
    #[must_use]
    pub fn new(most: Lent) -> Self {
        Self { lent: Arc::new(watch::Sender::new(Lent::default())), most }
    }

    /// How many are lent, as it changes.
    #[must_use]
    pub fn lent(&self) -> watch::Receiver<Lent> {
        self.lent.subscribe()
    }

    /// How many may be lent.
    #[must_use]
    pub fn most(&self) -> Lent {
        self.most
    }

    /// Lends the permit of a request that waits for nothing but the broker's word on its answer; `None` where too many do.
    #[must_use]
    pub fn lend_unconfirmed(&self, permit: &Slot) -> Option<Loan> {
        self.lend(permit, Kind::Unconfirmed)
    }

    /// Lends the permit of a request that waits in line; `None` where as many do as may.
    #[must_use]
    pub fn lend_in_line(&self, permit: &Slot) -> Option<Loan> {
        self.lend(permit, Kind::InLine)
    }

    fn lend(&self, permit: &Slot, kind: Kind) -> Option<Loan> {
        let most = *kind.of(&mut self.most());
        let may = self.lent.send_if_modified(|lent| {
            let lent = kind.of(lent);
            let may = *lent < most;
            *lent += u16::from(may);
            may
        });
        may.then(|| {
            permit.release();
            Loan(self.clone(), kind)
        })
    }

    fn begin(&self) -> bool {
        self.lent.send_if_modified(|lent| {
            let may = lent.by_callers < self.most.by_callers;
            lent.by_callers += u16::from(may);
            may
        })
    }

    fn end(&self) {
        self.lent.send_modify(|lent| lent.by_callers = lent.by_callers.saturating_sub(1));
    }
}

impl Lent {
    /// How many in all.
    #[must_use]
    pub fn sum(self) -> u16 {
        self.by_callers.saturating_add(self.unconfirmed).saturating_add(self.in_line)
    }
}

impl Kind {
    fn of(self, lent: &mut Lent) -> &mut u16 {
        match self {
            Self::Unconfirmed => &mut lent.unconfirmed,
            Self::InLine => &mut lent.in_line,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.lent.send_modify(|lent| {
            let lent = self.1.of(lent);
            *lent = lent.saturating_sub(1);
        });
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
    pub fn try_back(&self) -> bool {
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
        Self { lending, permit, seat: None, place: Mutex::default(), waits: Mutex::default(), progress }
    }

    /// Has the seat lent with the rest.
    #[must_use]
    pub fn seated(mut self, seat: Arc<Seat>) -> Self {
        self.seat = Some(seat);
        self
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
            let is_seated = self.seat.as_ref().is_none_or(|seat| seat.try_back());
            if self.permit.try_back() && is_seated && std::mem::take(&mut lock(&self.waits).counts) {
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
            if let Some(seat) = &self.seat {
                seat.release();
            }
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
#[path = "lending_tests.rs"]
mod tests;
