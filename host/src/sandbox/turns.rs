//! Who computes: guests that have computed for long take turns, so that they never hold all of the runtime's workers.
//!
//! A busy guest yields at every tick of the epoch. That alone leaves each of its neighbours to wait for a tick of every
//! busy guest at every step, and with sixty of them a request of one millisecond takes seconds. So a guest that has had
//! its share computes only when it has a turn, for one tick; there is one turn fewer than there are workers, and they
//! go round in order. Whoever is new, and the rest of the host, find a worker free.

use std::{
    pin::pin,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, time::timeout};

/// What a guest may compute before it takes turns; most requests need a tenth of it.
const SHARE: Duration = Duration::from_millis(5);

/// The turns that there are.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Self {
        // As many as tokio starts, unless told otherwise.
        let workers = thread::available_parallelism().map_or(1, usize::from);
        Self::of(workers.saturating_sub(1).max(1))
    }

    fn of(turns: usize) -> Self {
        Self(Semaphore::new(turns))
    }

    /// Runs a guest to its end, and says after each step how long it has computed. Past its deadline it needs no turn: it is let in to be stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the guest is dropped where it is.
    pub(super) async fn run<T>(
        &self,
        deadline: Instant,
        computed: impl Fn(Duration),
        guest: impl Future<Output = T>,
    ) -> T {
        let mut guest = pin!(guest);
        let mut used = Duration::ZERO;
        loop {
            let mut turn = match used >= SHARE {
                true => timeout(deadline.saturating_duration_since(Instant::now()), self.0.acquire()).await.ok(),
                false => None,
            };
            let (mut polled, mut took) = (None, Duration::ZERO);
            // Pending after each poll of a guest that goes on: its wake-up comes to this task.
            std::future::poll_fn(|context| {
                if polled.is_some() {
                    return Poll::Ready(());
                }
                let started = Instant::now();
                let poll = guest.as_mut().poll(context);
                took = started.elapsed();
                let ended = poll.is_ready();
                // Not kept while the guest waits, for its neighbours or for an answer from elsewhere.
                drop(turn.take());
                polled = Some(poll);
                if ended { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            used += took;
            computed(took);
            if let Some(Poll::Ready(ended)) = polled {
                return ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A guest that computes for a tick at a time, and counts how many like it do so at once.
    async fn busy(ticks: usize, at_once: Arc<AtomicUsize>, most: Arc<AtomicUsize>) {
        for _ in 0..ticks {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
            at_once.fetch_sub(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn guests_that_have_had_their_share_compute_one_at_a_time() {
        let turns = Arc::new(Turns::of(1));
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let deadline = Instant::now() + Duration::from_secs(600);
        let guests: Vec<_> = (0..4)
            .map(|_| {
                let turns = Arc::clone(&turns);
                let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
                tokio::spawn(async move {
                    let shared = async {
                        thread::sleep(SHARE);
                        tokio::task::yield_now().await;
                        busy(20, at_once, most).await;
                    };
                    turns.run(deadline, |_| (), shared).await;
                })
            })
            .collect();
        for guest in guests {
            guest.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_guest_that_waits_for_others_keeps_no_turn() {
        let turns = Turns::of(1);
        let deadline = Instant::now() + Duration::from_secs(600);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let had_its_share = async || {
            thread::sleep(SHARE);
            tokio::task::yield_now().await;
        };
        let waits = turns.run(deadline, |_| (), async {
            had_its_share().await;
            answered.await.unwrap()
        });
        let computes = turns.run(deadline, |_| (), async {
            had_its_share().await;
            tokio::task::yield_now().await;
            answer.send("from the one that computes").unwrap();
        });
        let both = async { tokio::join!(waits, computes) };
        // The deadline would let it in, which is not what is meant.
        let (waited, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert_eq!(waited, "from the one that computes");
    }

    #[tokio::test]
    async fn a_guest_without_a_turn_is_let_in_at_its_deadline() {
        let turns = Turns::of(0);
        let deadline = Instant::now() + Duration::from_millis(50);
        let ended = turns.run(deadline, |_| (), async {
            thread::sleep(SHARE);
            while Instant::now() < deadline {
                tokio::task::yield_now().await;
            }
            "stopped"
        });
        assert_eq!(ended.await, "stopped");
    }
}
