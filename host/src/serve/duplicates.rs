//! Keeps this host from running a request twice.
//!
//! A broker that lost our connection delivers again what we are still running; a client that lost its own sends again
//! what it is not sure of. Both carry the same `_unique_id`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Ids remembered after their request is done, some 7 MiB when full. The reference remembers 16. A broker notices a
/// connection that is dead without a word only after two heartbeats, and then delivers again what we ran before we
/// noticed: that is half a minute's requests, at two thousand a second.
const REMEMBERED: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Duplicates {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By id: ends when the request has, one way or the other.
    running: HashMap<Arc<str>, watch::Receiver<()>>,
    done: HashSet<Arc<str>>,
    /// `done` in the order of their ends.
    order: VecDeque<Arc<str>>,
}

/// Whose request it is.
#[derive(Debug)]
pub(super) enum Claim {
    /// Ours to run.
    First(Running),
    /// It has run.
    Done,
}

/// The right to run a request. Dropped without [`Running::done`], the request counts as not run.
#[derive(Debug)]
pub(super) struct Running {
    id: Arc<str>,
    seen: Arc<Mutex<Seen>>,
    _ended: watch::Sender<()>,
}

impl Duplicates {
    /// Claims a request. Where it is running already, waits until that has ended: only then is it known whether this
    /// delivery of it may be acknowledged.
    pub(super) async fn claim(&self, id: Arc<str>) -> Claim {
        loop {
            let mut running = {
                let mut seen = lock(&self.seen);
                if seen.done.contains(&id) {
                    return Claim::Done;
                }
                match seen.running.get(&id) {
                    Some(running) => running.clone(),
                    None => {
                        let (ended, running) = watch::channel(());
                        seen.running.insert(Arc::clone(&id), running);
                        let running = Running { id, seen: Arc::clone(&self.seen), _ended: ended };
                        return Claim::First(running);
                    }
                }
            };
            // An error is the end we wait for: the sender has been dropped.
            while running.changed().await.is_ok() {}
        }
    }
}

impl Running {
    /// The request has run and its delivery is settled.
    pub(super) fn done(self) {
        let mut seen = lock(&self.seen);
        seen.done.insert(Arc::clone(&self.id));
        seen.order.push_back(Arc::clone(&self.id));
        if seen.order.len() > REMEMBERED
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.done.remove(&oldest);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.seen).running.remove(&self.id);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use proptest::prelude::*;

    use super::*;

    async fn first(duplicates: &Duplicates, id: &str) -> Running {
        match duplicates.claim(id.into()).await {
            Claim::First(running) => running,
            Claim::Done => panic!("{id} is done"),
        }
    }

    #[tokio::test]
    async fn a_request_that_has_run_is_not_run_again() {
        let duplicates = Duplicates::default();
        first(&duplicates, "a").await.done();
        assert!(matches!(duplicates.claim("a".into()).await, Claim::Done));
        first(&duplicates, "b").await;
    }

    #[tokio::test]
    async fn a_second_delivery_waits_for_the_first() {
        let duplicates = Arc::new(Duplicates::default());
        let running = first(&duplicates, "a").await;
        let waiting = tokio::spawn({
            let duplicates = Arc::clone(&duplicates);
            async move { matches!(duplicates.claim("a".into()).await, Claim::Done) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        running.done();
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_request_that_did_not_end_may_run_again() {
        let duplicates = Duplicates::default();
        drop(first(&duplicates, "a").await);
        first(&duplicates, "a").await.done();
    }

    /// One delivery of a request, which is handled or not; `running` counts those that run, `done` is set by the first
    /// that was handled.
    async fn delivery(duplicates: Arc<Duplicates>, is_handled: bool, running: Arc<AtomicUsize>, done: Arc<AtomicBool>) {
        match duplicates.claim("same".into()).await {
            Claim::First(claim) => {
                assert!(!done.load(SeqCst), "handled already");
                assert_eq!(running.fetch_add(1, SeqCst), 0, "two at once");
                tokio::task::yield_now().await;
                running.fetch_sub(1, SeqCst);
                if is_handled {
                    done.store(true, SeqCst);
                    claim.done();
                }
            }
            Claim::Done => assert!(done.load(SeqCst), "dropped, and never handled"),
        }
    }

    proptest! {
        #[test]
        fn however_often_a_request_comes_it_runs_until_it_is_handled_once(all in prop::collection::vec(any::<bool>(), 1..30)) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let (duplicates, running, done) = (Arc::default(), Arc::default(), Arc::default());
            let tasks: Vec<_> = all
                .iter()
                .map(|is_handled| {
                    let delivery = delivery(Arc::clone(&duplicates), *is_handled, Arc::clone(&running), Arc::clone(&done));
                    runtime.spawn(delivery)
                })
                .collect();
            for task in tasks {
                runtime.block_on(task).unwrap();
            }
            prop_assert_eq!(done.load(SeqCst), all.contains(&true));
        }
    }

    #[tokio::test]
    async fn only_so_many_are_remembered() {
        let duplicates = Duplicates::default();
        for n in 0..=REMEMBERED {
            first(&duplicates, &n.to_string()).await.done();
        }
        first(&duplicates, "0").await;
        assert!(matches!(duplicates.claim("1".into()).await, Claim::Done));
    }
}
