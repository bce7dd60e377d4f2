//! Where requests of a shadow's share wait to be run again: bounded in number and bytes, and nobody waits for room.
//!
//! Before it: [`crate::serve`] has taped a request, and has answered it. After it: [`super::worker`]. Nothing here takes a lock that the worker
//! holds while it works: its thread has the lowest priority, and who waits for it waits for all others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{evidence::Named, report::NotCompared};
use crate::{
    canary::evidence::Key,
    metrics::{Compared, Shadowed},
    printable::printable,
    recording::{Draft, Ended, Recording, whole},
    sandbox::Taped,
};

/// Requests of one shadow that wait.
const QUEUE: usize = 64;

/// Bytes of the requests that wait, of all shadows together.
pub const MAX_WAITING: usize = 64 << 20;

/// Bytes that are taped of one request, as `record.request_bytes` is without being set.
pub const MAX_TAPED: usize = 4 << 20;

/// Bytes of a request id that is shown.
const MAX_ID: usize = 128;

/// Where requests of one shadow go. Clones are the same.
#[derive(Clone, Debug)]
pub struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Sender<Run>,
    waiting: Arc<AtomicUsize>,
    skipped: Skipped,
    counters: Shadowed,
}

/// Counts of those that are not compared.
#[derive(Debug, Default)]
struct Skipped {
    dropped: AtomicU64,
    too_large: AtomicU64,
    not_run: AtomicU64,
    timed_out: AtomicU64,
    noisy: AtomicU64,
}

/// Why a request is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was no room.
    Dropped,
    /// It does not fit on its tape.
    TooLarge,
    /// Its handler has not run to the end.
    NotRun,
    /// Its handler ran out of time.
    TimedOut,
    /// The version that serves does not do the same twice.
    Noisy,
}

/// A request of the share, before it runs.
#[derive(Debug)]
pub struct Wanted {
    /// Where it goes.
    pub intake: Intake,
    /// The position of its endpoint in what the new version offers.
    pub endpoint: u32,
    /// Its method.
    pub key: Key,
    /// The id of the call that it is a part of.
    pub request_id: Option<String>,
}

/// A request that has ended, and may not be compared before it is answered.
#[derive(Debug)]
pub struct Pending {
    intake: Intake,
    run: Option<Run>,
}

/// A request that is to be run again.
#[derive(Debug)]
pub struct Run {
    /// What it was, and what came of it. Nothing in it is redacted.
    pub recording: Recording,
    /// The position of its endpoint in what the new version offers.
    pub endpoint: u32,
    /// Its method.
    pub key: Key,
    /// What names it.
    pub named: Named,
    _room: Room,
}

/// A share of [`MAX_WAITING`], given back when dropped.
#[derive(Debug)]
struct Room {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Intake {
    /// Begins one, and gives what its worker takes from. `waiting` are the bytes of all shadows.
    #[must_use]
    pub fn new(waiting: &Arc<AtomicUsize>, counters: Shadowed) -> (Self, Receiver<Run>) {
        let (queue, runs) = channel(QUEUE);
        let inner = Inner { queue, waiting: Arc::clone(waiting), skipped: Skipped::default(), counters };
        (Self(Arc::new(inner)), runs)
    }

    /// A request is not compared.
    pub fn skip(&self, why: Why) {
        let Skipped { dropped, too_large, not_run, timed_out, noisy } = &self.0.skipped;
        let (count, compared) = match why {
            Why::Dropped => (dropped, Compared::Dropped),
            Why::TooLarge => (too_large, Compared::Skipped),
            Why::NotRun => (not_run, Compared::Skipped),
            Why::TimedOut => (timed_out, Compared::Skipped),
            Why::Noisy => (noisy, Compared::Skipped),
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.0.counters.inc(compared);
    }

    /// A request was compared.
    pub fn compared(&self, outcome: Compared) {
        self.0.counters.inc(outcome);
    }

    /// Those that were not compared so far.
    #[must_use]
    pub fn not_compared(&self) -> NotCompared {
        let Skipped { dropped, too_large, not_run, timed_out, noisy } = &self.0.skipped;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NotCompared {
            dropped: of(dropped),
            too_large: of(too_large),
            not_run: of(not_run),
            timed_out: of(timed_out),
            noisy: of(noisy),
        }
    }
}

impl Wanted {
    /// The request has ended: gives what is to be compared once it is answered. `taped` is `None` where it was too large.
    #[must_use]
    pub fn ended(
        self,
        draft: Option<Draft>,
        taped: Option<Taped>,
        outcome: &str,
        took: Duration,
        recording: Option<&str>,
    ) -> Option<Pending> {
        let Self { intake, endpoint, key, request_id } = self;
        let skip = |why| {
            intake.skip(why);
            None
        };
        let (Some(draft), Some(taped)) = (draft, taped) else { return skip(Why::TooLarge) };
        match &taped.ended {
            None => return skip(Why::NotRun),
            Some(Ended::Faulted { kind, .. }) if kind == crate::metrics::Ending::TimedOut.as_str() => {
                return skip(Why::TimedOut);
            }
            Some(_) => {}
        }
        let Some((whole, bytes)) = whole(draft, taped, outcome, took) else { return skip(Why::NotRun) };
        if bytes > MAX_TAPED {
            return skip(Why::TooLarge);
        }
        let Some(room) = Room::take(&intake.0.waiting, bytes) else { return skip(Why::Dropped) };
        let named = Named {
            request_id: request_id.map(|id| printable(&id, MAX_ID)),
            recording: recording.map(str::to_owned),
            at_ms: whole.at_ms,
        };
        let run = Some(Run { recording: whole, endpoint, key, named, _room: room });
        Some(Pending { intake, run })
    }
}

impl Pending {
    /// The request is answered: it may be compared, where there is room.
    pub fn offer(mut self) {
        if let Some(run) = self.run.take()
            && self.intake.0.queue.try_send(run).is_err()
        {
            self.intake.skip(Why::Dropped);
        }
    }
}

/// One that was never offered has not ended as it should.
impl Drop for Pending {
    fn drop(&mut self) {
        if self.run.take().is_some() {
            self.intake.skip(Why::NotRun);
        }
    }
}

impl Room {
    fn take(waiting: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let room = Self { waiting: Arc::clone(waiting), bytes };
        // Given back by the drop where it is too much.
        (waiting.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= MAX_WAITING).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capability::Values,
        envelope::Text,
        metrics::Metrics,
        recording::{Call, sample},
    };

    fn draft() -> Draft {
        let Recording { handler, request, limits, .. } = sample();
        Draft { handler, request, policy: "at-least-once", limits, config: Values::default() }
    }

    fn taped(ended: Option<Ended>, bytes: usize) -> Taped {
        let asked = Text::parse(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        let call =
            Call { import: "nova:rpc/client.call".to_owned(), asked, answer: Some(Text::null()), at_us: 0, took_us: 0 };
        Taped { calls: vec![call], served: 0, memory: 0, ended }
    }

    fn replied() -> Option<Ended> {
        Some(Ended::Replied(Text::null()))
    }

    fn wanted(intake: &Intake) -> Wanted {
        let key = Key { namespace: None, method: "m".to_owned(), major: 1 };
        Wanted { intake: intake.clone(), endpoint: 0, key, request_id: Some("req-1\n".repeat(100)) }
    }

    fn begin() -> (Intake, Receiver<Run>, Arc<AtomicUsize>) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (intake, runs) = Intake::new(&waiting, Metrics::default().shadowed("h"));
        (intake, runs, waiting)
    }

    #[test]
    fn a_queue_that_is_full_drops_and_counts_and_what_waits_gives_its_room_back() {
        let (intake, mut runs, waiting) = begin();
        let offer = || {
            let pending =
                wanted(&intake).ended(Some(draft()), Some(taped(replied(), 1000)), "replied", Duration::ZERO, None);
            if let Some(pending) = pending {
                pending.offer();
            }
        };
        (0..QUEUE + 10).for_each(|_| offer());
        assert_eq!(intake.not_compared(), NotCompared { dropped: 10, ..NotCompared::default() });
        assert!(waiting.load(Ordering::Relaxed) > QUEUE * 1000);
        let mut waited = 0;
        while let Ok(run) = runs.try_recv() {
            assert!(run.named.request_id.unwrap().len() < MAX_ID + 10);
            waited += 1;
        }
        assert_eq!((waited, waiting.load(Ordering::Relaxed)), (QUEUE, 0));
        // The shadow has ended.
        drop(runs);
        offer();
        assert_eq!((intake.not_compared().dropped, waiting.load(Ordering::Relaxed)), (11, 0));
    }

    #[test]
    fn bytes_of_all_shadows_are_bounded() {
        let (intake, _runs, waiting) = begin();
        waiting.store(MAX_WAITING - 500, Ordering::Relaxed);
        let ended = wanted(&intake).ended(Some(draft()), Some(taped(replied(), 1000)), "replied", Duration::ZERO, None);
        assert!(ended.is_none());
        assert_eq!((intake.not_compared().dropped, waiting.load(Ordering::Relaxed)), (1, MAX_WAITING - 500));
    }

    #[test]
    fn what_cannot_be_compared_is_counted_by_why() {
        let (intake, _runs, waiting) = begin();
        let ends = |draft: Option<Draft>, taped: Option<Taped>| {
            let pending = wanted(&intake).ended(draft, taped, "word", Duration::ZERO, None);
            // It is dropped without having been offered: its answer has not gone out.
            drop(pending);
        };
        let fault = Ended::Faulted { kind: "timed_out".to_owned(), message: String::new(), frames: Vec::new() };
        ends(None, Some(taped(replied(), 1)));
        ends(Some(draft()), None);
        ends(Some(draft()), Some(taped(replied(), MAX_TAPED)));
        ends(Some(draft()), Some(taped(Some(fault), 1)));
        ends(Some(draft()), Some(taped(None, 1)));
        ends(Some(draft()), Some(taped(replied(), 1)));
        let expected = NotCompared { too_large: 3, timed_out: 1, not_run: 2, ..NotCompared::default() };
        assert_eq!((intake.not_compared(), waiting.load(Ordering::Relaxed)), (expected, 0));
    }
}
