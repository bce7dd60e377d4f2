//! Letters that their queue or exchange does not take now: they wait, and one of them looks from time to time.
//!
//! Before it: [`super::answer`] and [`super::dead_letter`] have tried once. After it: each letter is sent, or its time is
//! over. For each destination there is one task and one probe, whatever waits for it, with pauses that grow; so a queue
//! that is missing, full or silent costs others next to nothing. What is for such a queue comes here at once, untried.
//!
//! Only pauses and silence count against a letter's time, not the absence of the broker: after that, callers must have
//! time to make their queues again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::transport::{Company, Destination, Lifetime, Publication, Published, Transport};

/// The first pause: the reference's.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long a probe is waited for before it is looked who has come and gone. The broker may be away.
const PROBE: Duration = Duration::from_secs(30);

/// The longest that a letter is kept, the broker's absence included: nobody waits for an answer for so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// How many letters wait at once, beside the requests in flight.
const MAX_LETTERS: usize = 1024;

/// Bytes of all bodies that wait at once.
const MAX_BYTES: usize = 256 << 20;

/// How many letters are sent at once when a queue is back.
const AT_ONCE: usize = 16;

/// Messages for one destination that belong together, in their order: mostly one.
#[derive(Debug)]
pub(super) struct Letter {
    destination: Destination,
    /// Whether it may wait for an exchange that is missing.
    waits_for_exchange: bool,
    /// When its messages expire, where they do: what is left of that goes with each.
    expires: Option<Instant>,
    left: VecDeque<Publication>,
}

/// Why a letter waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no such queue.
    Missing,
    /// The queue is there and does not take it: full, or not able to store.
    Full,
    /// The broker does not say what became of it.
    Silent,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The broker has all of it.
    Taken,
    /// It is given up, and why.
    GivenUp(String),
}

/// What waits, by destination. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The letters that have come and that the task of their destination has not seen.
    arriving: Mutex<HashMap<Destination, Vec<Waiting>>>,
    letters: AtomicUsize,
    bytes: AtomicUsize,
}

/// A letter that waits.
#[derive(Debug)]
struct Waiting {
    letter: Letter,
    patience: Duration,
    spent: Duration,
    since: Instant,
    done: oneshot::Sender<Delivered>,
    _room: Room,
}

/// A place among the letters.
#[derive(Debug)]
struct Room {
    late: Late,
    bytes: usize,
}

impl Trouble {
    /// What it is, for the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "it is missing",
            Self::Full => "it is full, or cannot store messages",
            Self::Silent => "RabbitMQ does not say whether it takes them",
        }
    }
}

impl Letter {
    /// Makes a letter of at least one message.
    pub(super) fn new(destination: Destination, messages: impl IntoIterator<Item = Publication>) -> Self {
        Self { destination, waits_for_exchange: false, expires: None, left: messages.into_iter().collect() }
    }

    /// The same, which may wait until others have declared their exchange, and a queue for it, and expires then.
    pub(super) fn that_waits(self, expires: Option<Instant>) -> Self {
        Self { waits_for_exchange: true, expires, ..self }
    }

    /// Where it goes.
    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Bytes of what is left of it.
    pub(super) fn length(&self) -> usize {
        self.left.iter().map(|publication| publication.body.len()).sum()
    }

    /// Sends what is left of it, once.
    ///
    /// # Errors
    ///
    /// The transport's: the broker refuses it.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the first message that is left may have been sent or not.
    pub(super) async fn send(
        &mut self,
        transport: &Transport,
        company: Company,
    ) -> Result<Option<Trouble>, crate::transport::Error> {
        while let Some(publication) = self.left.front_mut() {
            publication.company = company;
            if let (Some(expires), Some(copied)) = (self.expires, &mut publication.copied) {
                // One whose time is over is the broker's to drop, as any that expires.
                let left = expires.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                copied.lifetime = Lifetime::Left(left);
            }
            let published = match transport.publish(publication).await {
                Err(crate::transport::Error::NoExchange { .. }) if self.waits_for_exchange => Published::Unroutable,
                published => published?,
            };
            match published {
                Published::Confirmed => drop(self.left.pop_front()),
                Published::Unroutable => return Ok(Some(Trouble::Missing)),
                Published::Nacked { .. } => return Ok(Some(Trouble::Full)),
                Published::Unconfirmed => return Ok(Some(Trouble::Silent)),
            }
        }
        Ok(None)
    }
}

impl Late {
    /// Whether letters wait for a destination: what else is for it waits with them.
    pub(super) fn has(&self, destination: &Destination) -> bool {
        // Mostly nothing waits anywhere.
        self.0.letters.load(Ordering::Relaxed) > 0 && self.arriving().contains_key(destination)
    }

    /// How many letters wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.letters.load(Ordering::Relaxed)
    }

    /// Lets a letter wait, for no longer than `patience`; gives what becomes of it. The tasks are of `tasks`, until
    /// `abandon`.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the letter is forgotten. It may have been sent.
    pub(super) async fn wait(
        &self,
        letter: Letter,
        trouble: Trouble,
        patience: Duration,
        transport: &Transport,
        tasks: &TaskTracker,
        abandon: &CancellationToken,
    ) -> Delivered {
        let Some(room) = self.room(letter.length()) else {
            return Delivered::GivenUp("too many messages wait for queues that do not take them".to_owned());
        };
        let (done, is_done) = oneshot::channel();
        let destination = letter.destination.clone();
        let waiting = Waiting { letter, patience, spent: Duration::ZERO, since: Instant::now(), done, _room: room };
        let is_first = {
            let mut arriving = self.arriving();
            let is_first = !arriving.contains_key(&destination);
            arriving.entry(destination.clone()).or_default().push(waiting);
            is_first
        };
        if is_first {
            let attending = attend(self.clone(), destination, trouble, transport.clone());
            tasks.spawn(abandon.clone().run_until_cancelled_owned(attending));
        }
        match is_done.await {
            Ok(delivered) => delivered,
            // Who waits ends as well, and gives the request back with which somebody else answers.
            Err(_) if abandon.is_cancelled() => std::future::pending().await,
            Err(_) => Delivered::GivenUp("the host failed while it waited".to_owned()),
        }
    }

    fn room(&self, bytes: usize) -> Option<Room> {
        // Counted first, so that no two take the last place.
        let room = Room { late: self.clone(), bytes };
        let letters = self.0.letters.fetch_add(1, Ordering::AcqRel);
        let before = self.0.bytes.fetch_add(bytes, Ordering::AcqRel);
        (letters < MAX_LETTERS && before.saturating_add(bytes) <= MAX_BYTES).then_some(room)
    }

    fn arriving(&self) -> MutexGuard<'_, HashMap<Destination, Vec<Waiting>>> {
        self.0.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what has come for a destination to `waiting`. Where both are empty, the destination is forgotten.
    fn take(&self, destination: &Destination, waiting: &mut VecDeque<Waiting>) -> bool {
        let mut arriving = self.arriving();
        if let Some(arrived) = arriving.get_mut(destination) {
            waiting.extend(arrived.drain(..));
        }
        waiting.retain(|waiting| !waiting.done.is_closed());
        if waiting.is_empty() {
            arriving.remove(destination);
        }
        !waiting.is_empty()
    }
}

/// The duty to look after a destination. Dropped half-way, it is forgotten with all that has come for it, so that nobody waits
/// for a task that is not there.
struct Duty<'a> {
    late: &'a Late,
    destination: &'a Destination,
    is_done: bool,
}

impl Duty<'_> {
    /// Moves what has come to `waiting`; false where nothing waits any more.
    fn take(&mut self, waiting: &mut VecDeque<Waiting>) -> bool {
        self.is_done = !self.late.take(self.destination, waiting);
        !self.is_done
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.late.arriving().remove(self.destination);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.late.0.letters.fetch_sub(1, Ordering::AcqRel);
        self.late.0.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Looks after one destination until nothing waits for it.
async fn attend(late: Late, destination: Destination, mut trouble: Trouble, transport: Transport) {
    let (mut waiting, mut pause) = (VecDeque::new(), FIRST_PAUSE);
    let (mut sent, mut given_up) = (0usize, 0usize);
    let began = Instant::now();
    let mut duty = Duty { late: &late, destination: &destination, is_done: false };
    // Pauses count while the broker answers.
    let mut answers = true;
    tracing::warn!(%destination, reason = trouble.as_str(), "messages for a queue wait");
    while duty.take(&mut waiting) {
        let slept = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
        sleep(slept).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
        if !duty.take(&mut waiting) {
            break;
        }
        if answers {
            waiting.iter_mut().for_each(|waiting| waiting.spent += slept);
        }
        given_up += give_up(&mut waiting, trouble);
        let Some(probe) = waiting.front_mut() else { continue };
        let probing = Instant::now();
        let probed = timeout(PROBE, probe.letter.send(&transport, Company::Alone)).await;
        answers = probed.is_ok();
        let found = match probed {
            Ok(Ok(None)) => None,
            Ok(Ok(Some(found))) => Some(found),
            Ok(Err(error)) => {
                given_up += 1;
                finish(waiting.pop_front(), Delivered::GivenUp(error.to_string()));
                continue;
            }
            // The broker is away: that does not count.
            Err(_) => continue,
        };
        let Some(found) = found else {
            finish(waiting.pop_front(), Delivered::Taken);
            sent += 1;
            pause = FIRST_PAUSE;
            sent += flush(&mut waiting, &transport).await;
            continue;
        };
        if found == Trouble::Silent {
            let silent = probing.elapsed();
            waiting.iter_mut().for_each(|waiting| waiting.spent += silent);
        }
        if found != trouble {
            trouble = found;
            tracing::warn!(%destination, reason = trouble.as_str(), "messages for a queue still wait");
        }
    }
    tracing::info!(%destination, sent, given_up, took = ?began.elapsed(), "nothing waits for the queue any more");
}

/// Ends the waiting of those whose time is over; how many.
fn give_up(waiting: &mut VecDeque<Waiting>, trouble: Trouble) -> usize {
    let (over, left): (VecDeque<Waiting>, VecDeque<Waiting>) = std::mem::take(waiting)
        .into_iter()
        .partition(|waiting| waiting.spent >= waiting.patience || waiting.since.elapsed() >= LONGEST);
    *waiting = left;
    let count = over.len();
    for over in over {
        finish(Some(over), Delivered::GivenUp(trouble.as_str().to_owned()));
    }
    count
}

/// Sends all, now that the queue takes messages again, until it does not; how many. What is left stays, in its order.
async fn flush(waiting: &mut VecDeque<Waiting>, transport: &Transport) -> usize {
    let mut count = 0;
    while !waiting.is_empty() {
        let some = waiting.drain(..AT_ONCE.min(waiting.len())).collect::<Vec<_>>();
        let sending = some.into_iter().map(|mut waiting| async move {
            let sent = timeout(PROBE, waiting.letter.send(transport, Company::Shared)).await;
            (waiting, sent)
        });
        let mut left = VecDeque::new();
        for (letter, sent) in join_all(sending).await {
            match sent {
                Ok(Ok(None)) => {
                    count += 1;
                    finish(Some(letter), Delivered::Taken);
                }
                Ok(Err(error)) => finish(Some(letter), Delivered::GivenUp(error.to_string())),
                Ok(Ok(Some(_))) | Err(_) => left.push_back(letter),
            }
        }
        if !left.is_empty() {
            left.append(waiting);
            *waiting = left;
            break;
        }
    }
    count
}

fn finish(waiting: Option<Waiting>, delivered: Delivered) {
    if let Some(waiting) = waiting {
        // The one who waits may have gone.
        waiting.done.send(delivered).ok();
    }
}

#[cfg(test)]
#[path = "late_tests.rs"]
mod tests;
