//! How many requests of one handler run at once, and how the others wait.
//!
//! Before it: [`crate::dispatch`] has found the handler. Whoever waits holds one of the service's permits, so waiting
//! must not be free: a handler that is slow, or has been made slow, would hold them all and starve its neighbours. So
//! half of the permits is a waiting room for the requests of all handlers, where they stay until their deadline. Who
//! finds it full may wait only while the handler's places change hands: a burst of short requests passes, and a handler
//! that is stuck is refused at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::lending::Slot;

/// A handler of which no request began or ended for so long is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// The places of one handler.
#[derive(Debug)]
pub(super) struct Places {
    /// `None` where the handler has no limit of its own.
    free: Option<Arc<Semaphore>>,
    room: Arc<Semaphore>,
    /// When a place was last taken or given back.
    moved: Mutex<Instant>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    slot: Option<Arc<Slot>>,
}

impl Place {
    /// What of it may be lent; `None` where the handler has no limit of its own.
    #[must_use]
    pub fn slot(&self) -> Option<Arc<Slot>> {
        self.slot.clone()
    }
}

/// The handler runs as many requests as it may.
#[derive(Debug)]
pub struct Full;

impl Places {
    pub(super) fn new(limit: Option<u16>, room: Arc<Semaphore>) -> Self {
        let free = limit.map(|limit| Arc::new(Semaphore::new(usize::from(limit))));
        Self { free, room, moved: Mutex::new(Instant::now()) }
    }

    /// Takes a place, or waits for one, until `deadline` at most.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, no place is taken.
    pub(super) async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<Place, Full> {
        let Some(free) = &self.free else { return Ok(Place { places: Arc::clone(self), slot: None }) };
        if let Ok(permit) = Arc::clone(free).try_acquire_owned() {
            return Ok(self.place(free, permit));
        }
        let chair = self.room.try_acquire();
        let mut permit = std::pin::pin!(Arc::clone(free).acquire_owned());
        loop {
            let until = if chair.is_ok() { deadline } else { deadline.min(self.moved() + STUCK) };
            if let Ok(permit) = timeout_at(until, permit.as_mut()).await {
                // A place that comes at the end of the time is of no use.
                let permit = permit.ok().filter(|_| Instant::now() < deadline);
                return permit.map(|permit| self.place(free, permit)).ok_or(Full);
            }
            let now = Instant::now();
            if now >= deadline || (chair.is_err() && now >= self.moved() + STUCK) {
                return Err(Full);
            }
        }
    }

    fn place(self: &Arc<Self>, free: &Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Place {
        self.touch();
        Place { places: Arc::clone(self), slot: Some(Arc::new(Slot::new(Arc::clone(free), permit))) }
    }

    fn moved(&self) -> Instant {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            slot.release();
        }
        self.places.touch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(limit: u16, room: usize) -> Arc<Places> {
        Arc::new(Places::new(Some(limit), Arc::new(Semaphore::new(room))))
    }

    fn within(time: Duration) -> Instant {
        Instant::now() + time
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_the_room_waits_until_the_deadline() {
        let places = places(1, 1);
        let first = places.enter(within(LONG)).await.unwrap();
        // Beyond the time after which the handler is stuck, and so short of nothing but the deadline.
        let started = Instant::now();
        assert!(places.enter(within(STUCK + STUCK / 4)).await.is_err());
        assert!(started.elapsed() >= STUCK + STUCK / 4);
        let (second, ()) = tokio::join!(places.enter(within(LONG)), async { drop(first) });
        assert!(second.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_room_a_stuck_handler_is_refused_long_before_the_deadline() {
        let places = places(1, 0);
        let _first = places.enter(within(LONG)).await.unwrap();
        assert!(places.enter(within(LONG)).await.is_err());
        // And the next at once, for nothing has moved.
        assert!(tokio::time::timeout(STUCK / 2, places.enter(within(LONG))).await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_room_a_burst_passes_while_places_change_hands() {
        let places = places(1, 0);
        let request = async || {
            let place = places.enter(within(LONG)).await.map_err(|_| "refused")?;
            tokio::time::sleep(STUCK / 10).await;
            drop(place);
            Ok::<(), &str>(())
        };
        // Together they take half as long again as a stuck handler is waited for.
        let all = futures_util::future::join_all((0..15).map(|_| request())).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_everybody_enters() {
        let places = Arc::new(Places::new(None, Arc::new(Semaphore::new(0))));
        let _all = futures_util::future::join_all((0..100).map(|_| places.enter(within(LONG)))).await;
    }
}
