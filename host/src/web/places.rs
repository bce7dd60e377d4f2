//! Who has a place among the connections, and who loses it to somebody new.
//!
//! Before it: [`super::server`] accepts whoever comes, so that a flood of the silent keeps nobody out. After it: the
//! connection that is told to go, goes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a place is somebody's at least. Whoever has something to ask sends it with the connection: this is for us, to read it.
const HEARD_IN: Duration = Duration::from_millis(100);

/// The same for those who are answered. All that is here is sent at once; this is for the network.
const ANSWERED_IN: Duration = Duration::from_secs(1);

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
    /// Told when a place becomes free.
    left: Notify,
}

/// Who has one, in the order in which they came.
#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Those who have yet to say what they want.
    silent: BTreeMap<u64, Guest>,
    /// Those who have asked, and are answered.
    asking: BTreeMap<u64, Guest>,
    /// Those who are known, and lose their place to nobody. At most a quarter of all.
    kept: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    since: Instant,
    lost: CancellationToken,
}

/// A place, until it is dropped or somebody else needs it.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    lost: CancellationToken,
    has_asked: AtomicBool,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default(), left: Notify::new() }
    }

    /// A place. Where there is none, the one who has been silent for longest loses theirs; where nobody is silent, the one who
    /// has been answered for longest, and still has not taken it. Waits until somebody has had theirs for long enough.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, no place is taken.
    pub(super) async fn enter(places: &Arc<Self>) -> Place {
        loop {
            let left = places.left.notified();
            let wait = {
                let mut taken = places.taken();
                match taken.wait(places.most, Instant::now()) {
                    Some(wait) => wait,
                    None => {
                        let (number, lost) = (taken.next, CancellationToken::new());
                        taken.next += 1;
                        taken.silent.insert(number, Guest { since: Instant::now(), lost: lost.clone() });
                        return Place { places: Arc::clone(places), number, lost, has_asked: AtomicBool::new(false) };
                    }
                }
            };
            // Whether somebody has left or has had the place for long enough, it is looked at again.
            timeout(wait, left).await.ok();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Makes room for one more; or gives how long it takes until that may be.
    fn wait(&mut self, most: usize, now: Instant) -> Option<Duration> {
        if self.silent.len() + self.asking.len() + self.kept.len() < most {
            return None;
        }
        let (oldest, kept) = match self.silent.is_empty() {
            false => (self.silent.first_entry(), HEARD_IN),
            true => (self.asking.first_entry(), ANSWERED_IN),
        };
        let oldest = oldest?;
        let wait = kept.saturating_sub(now.saturating_duration_since(oldest.get().since));
        if wait > Duration::ZERO {
            return Some(wait);
        }
        oldest.remove().lost.cancel();
        None
    }
}

impl Place {
    /// It is known what the client wants.
    pub(super) fn asks(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
        let mut taken = self.places.taken();
        if let Some(guest) = taken.silent.remove(&self.number) {
            taken.asking.insert(self.number, Guest { since: Instant::now(), ..guest });
        }
    }

    /// Nobody takes it any more. Gives whether there was room for one more of that kind.
    pub(super) fn keep(&self) -> bool {
        let mut taken = self.places.taken();
        if taken.kept.contains_key(&self.number) {
            return true;
        }
        if taken.kept.len() >= self.places.most / 4 {
            return false;
        }
        let Some(guest) = taken.asking.remove(&self.number).or_else(|| taken.silent.remove(&self.number)) else {
            return false;
        };
        taken.kept.insert(self.number, guest);
        true
    }

    /// Whether that was ever known.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// Waits until somebody else needs the place.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Taken { silent, asking, kept, .. } = &mut *taken;
        let was_there = [silent, asking, kept].into_iter().any(|guests| guests.remove(&self.number).is_some());
        drop(taken);
        if was_there {
            self.places.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_new_takes_the_place_of_the_oldest_who_is_silent_and_then_of_the_oldest() {
        let places = Arc::new(Places::new(2));
        let (first, second) = (Places::enter(&places).await, Places::enter(&places).await);
        first.asks();
        let third = Places::enter(&places).await;
        assert!(!first.lost.is_cancelled() && second.lost.is_cancelled() && !third.lost.is_cancelled());
        third.asks();
        let fourth = Places::enter(&places).await;
        assert!(first.lost.is_cancelled() && !third.lost.is_cancelled());
        drop((first, second, third));
        let fifth = Places::enter(&places).await;
        assert!(!fourth.lost.is_cancelled() && !fifth.lost.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_keeps_the_place_and_a_quarter_of_all_may() {
        let places = Arc::new(Places::new(4));
        let mut all = Vec::new();
        for _ in 0..4 {
            let place = Places::enter(&places).await;
            place.asks();
            all.push(place);
        }
        assert!(all[0].keep() && all[0].keep() && !all[1].keep());
        let fifth = Places::enter(&places).await;
        assert!(!all[0].lost.is_cancelled() && all[1].lost.is_cancelled());
        // Who has lost the place has none to keep.
        all.remove(0);
        assert!(!all[0].keep() && fifth.keep());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_is_heard_before_anybody_takes_the_place() {
        let places = Arc::new(Places::new(1));
        let first = Places::enter(&places).await;
        let came = Instant::now();
        let second = Places::enter(&places).await;
        assert!(first.lost.is_cancelled() && came.elapsed() >= HEARD_IN);
        second.asks();
        let asked = Instant::now();
        let third = Places::enter(&places).await;
        assert!(second.lost.is_cancelled() && asked.elapsed() >= ANSWERED_IN);
        // Who leaves makes room at once.
        let left = Instant::now();
        let (fourth, ()) = tokio::join!(Places::enter(&places), async { drop(third) });
        assert!(left.elapsed() < HEARD_IN && !fourth.lost.is_cancelled());
    }
}
