//! Who was sent what, and what became of it: every request has a number, and the numbers must add up.
//!
//! Before it: [`super::load`] enters what senders know. After it: a story compares that with what the hosts' logs say
//! has run (the handler `record` writes a line for each) and prints the [`Tally`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::load::LIMIT;

/// What the handler `record` writes, before the number.
pub(super) const RECORDED: &str = ": recorded ";

/// All requests of a story, by number.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    kind: Kind,
    begun: Instant,
    took: Duration,
    fate: Fate,
}

/// Whether the sender waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Cast,
}

/// What the sender knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: it may have been sent or not.
    Unsure,
    /// The broker has the cast.
    Confirmed,
    /// The call has its own number back.
    Answered,
    /// The broker had the call, and no reply came in time.
    Unanswered,
    /// What must never happen.
    Wrong(String),
}

/// The numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Calls that were answered.
    pub(crate) answered: u64,
    /// Casts that were confirmed.
    pub(crate) confirmed: u64,
    /// Requests of which the sender does not know whether they were sent.
    pub(crate) unsure: u64,
    /// Requests that ran once.
    pub(crate) once: u64,
    /// Requests that ran more than once.
    pub(crate) again: u64,
    /// The most that one request ran.
    pub(crate) most: u64,
    /// Confirmed requests that never ran.
    pub(crate) lost: Vec<u64>,
    /// Confirmed calls without a reply.
    pub(crate) unanswered: Vec<u64>,
    /// What must never happen.
    pub(crate) wrong: Vec<String>,
    /// The longest that a call took.
    pub(crate) longest: Duration,
}

impl Ledger {
    /// Enters a request that is about to be sent, and numbers it.
    pub(crate) fn begin(&self, kind: Kind) -> u64 {
        let mut entries = self.lock();
        entries.push(Entry { kind, begun: Instant::now(), took: Duration::ZERO, fate: Fate::Unsure });
        entries.len() as u64 - 1
    }

    /// Enters what became of it.
    pub(crate) fn end(&self, number: u64, fate: Fate) {
        let entry = &mut self.lock()[usize::try_from(number).expect("it was given by us")];
        (entry.took, entry.fate) = (entry.begun.elapsed(), fate);
    }

    /// Waits until so many more calls have been answered.
    pub(crate) fn wait_for_answers(&self, more: usize) {
        let answered = || self.lock().iter().filter(|entry| entry.fate == Fate::Answered).count();
        let (enough, give_up) = (answered() + more, Instant::now() + LIMIT);
        while answered() < enough {
            assert!(Instant::now() < give_up, "waited {LIMIT:?} in vain for {more} more answers");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The longest time since then in which no call was answered, up to now.
    pub(crate) fn longest_silence(&self, since: Instant) -> Duration {
        let entries = self.lock();
        let answered =
            entries.iter().filter(|entry| entry.fate == Fate::Answered).map(|entry| entry.begun + entry.took);
        let mut moments: Vec<Instant> = answered.filter(|moment| *moment > since).collect();
        moments.extend([since, Instant::now()]);
        moments.sort_unstable();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Compares with what has run, waiting for casts that are still in a queue. `logs` reads the logs of all hosts.
    pub(crate) fn tally(&self, logs: impl Fn() -> Vec<String>) -> Tally {
        let give_up = Instant::now() + super::PATIENCE;
        loop {
            let tally = self.compare(&logs());
            if tally.lost.is_empty() || Instant::now() > give_up {
                return tally;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Compares with what has run.
    pub(crate) fn compare(&self, logs: &[String]) -> Tally {
        let mut runs = HashMap::<u64, u64>::new();
        for line in logs.iter().flat_map(|log| log.lines()) {
            if let Some(number) = line.rsplit_once(RECORDED).and_then(|(_, number)| number.parse().ok()) {
                *runs.entry(number).or_default() += 1;
            }
        }
        let mut tally = Tally::default();
        for (number, entry) in (0..).zip(self.lock().iter()) {
            let ran = runs.remove(&number).unwrap_or_default();
            match ran {
                0 if !matches!(entry.fate, Fate::Unsure | Fate::Wrong(_)) => tally.lost.push(number),
                0 => {}
                1 => tally.once += 1,
                _ => tally.again += 1,
            }
            tally.most = tally.most.max(ran);
            match &entry.fate {
                Fate::Unsure => tally.unsure += 1,
                Fate::Confirmed => tally.confirmed += 1,
                Fate::Answered => tally.answered += 1,
                Fate::Unanswered => tally.unanswered.push(number),
                Fate::Wrong(what) => tally.wrong.push(format!("{number}: {what}")),
            }
            if entry.kind == Kind::Call {
                tally.longest = tally.longest.max(entry.took);
            }
        }
        tally.wrong.extend(runs.into_keys().map(|number| format!("{number} ran and was never sent")));
        tally
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // A test that panicked with the lock held has already failed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Whether every confirmed request ran, and every confirmed call has its reply.
    pub(crate) fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.unanswered.is_empty() && self.wrong.is_empty()
    }

    /// Fails where something is missing.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self) {
        assert!(self.is_complete(), "{self}: {self:?}");
        // A story in which nothing happened shows nothing.
        assert!(self.answered > 0, "{self}");
    }
}

/// One line, for people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.answered + self.unanswered.len() as u64;
        write!(
            f,
            "{calls} calls and {} casts confirmed ({} unsure): {} answered, {} unanswered, {} run once, {} run again, \
             {} lost; longest call {:.1} s",
            self.confirmed,
            self.unsure,
            self.answered,
            self.unanswered.len(),
            self.once,
            self.again,
            self.lost.len(),
            self.longest.as_secs_f64()
        )
    }
}

#[test]
fn a_silence_is_between_answers() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let second = Duration::from_secs(1);
    let begun = now.checked_sub(10 * second).expect("the machine runs for longer");
    for (took, fate) in [(1, Fate::Answered), (2, Fate::Answered), (6, Fate::Confirmed), (8, Fate::Answered)] {
        ledger.lock().push(Entry { kind: Kind::Call, begun, took: took * second, fate });
    }
    assert_eq!(ledger.longest_silence(begun), 6 * second);
    assert!(ledger.longest_silence(now) < 6 * second);
}

#[test]
fn the_numbers_add_up() {
    let ledger = Ledger::default();
    for (kind, fate) in [
        (Kind::Call, Fate::Answered),
        (Kind::Call, Fate::Unanswered),
        (Kind::Cast, Fate::Confirmed),
        (Kind::Cast, Fate::Confirmed),
        (Kind::Cast, Fate::Unsure),
        (Kind::Cast, Fate::Unsure),
    ] {
        ledger.end(ledger.begin(kind), fate);
    }
    let first = "INFO request{method=\"record\"}: handler: recorded 0\nhandler: recorded 1\nINFO recorded nothing\n";
    let logs = [first.to_owned(), "handler: recorded 1\nhandler: recorded 3\nhandler: recorded 4\n".to_owned()];
    let tally = ledger.compare(&logs);
    assert_eq!((tally.answered, tally.confirmed, tally.unsure), (1, 2, 2));
    assert_eq!((tally.once, tally.again, tally.most), (3, 1, 2));
    assert_eq!((tally.lost, tally.unanswered, tally.wrong.len()), (vec![2], vec![1], 0));
    let never_sent = ["handler: recorded 9\n".to_owned()];
    assert_eq!(ledger.compare(&never_sent).wrong, ["9 ran and was never sent"]);
}
