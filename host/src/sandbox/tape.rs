//! The tape at a guest's imports: what it asks and what it is told, to be kept or to be told again.
//!
//! Before it: each import, at the place where its answer is made. After it: [`crate::recording`] keeps what was taped, and
//! [`crate::replay`] has a guest told what is on a tape. There are three kinds of calls. What a guest *asks* others has to be
//! the same when it runs again; what it *notices* (clocks, random, what is ready) may be more or less in another component;
//! what it *says* (its log) is compared and never missing. Without a tape, a call costs the look at a pointer.
//!
//! Golem's durable host functions are the pattern: one wrapper around the work of each import, which does it and appends, or reads.

mod player;
mod recorder;
mod turn;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

pub use player::{Difference, Played, Rule};
pub use recorder::Taped;

use crate::{
    envelope::Text,
    recording::{Call, Ended},
};
use player::Player;
use recorder::Recorder;
use turn::{Kind, Turn};

/// A tape, or none. Clones are the same tape.
#[derive(Clone, Debug, Default)]
pub struct Tape(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    reel: Mutex<Reel>,
    /// Told when a guest that is told what is on a tape must not go on.
    over: Notify,
}

#[derive(Debug)]
enum Reel {
    Recording(Recorder),
    Replaying(Player),
}

/// A guest that is not told anything any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the recording ends here")]
pub(super) struct Over;

impl Tape {
    /// A tape for so many bytes at most. A request that `is_chosen` runs in a fresh instance, so that it can be run again as it
    /// was; another one takes what instance there is.
    #[must_use]
    pub fn recording(most: usize, is_chosen: bool) -> Self {
        Self::of(Reel::Recording(Recorder::new(most, is_chosen)))
    }

    /// A tape that tells what was recorded. Where that is redacted, its stars are like any letter.
    #[must_use]
    pub fn replaying(calls: Vec<Call>, rule: Rule, is_redacted: bool) -> Self {
        Self::of(Reel::Replaying(Player::new(calls, rule, is_redacted)))
    }

    fn of(reel: Reel) -> Self {
        Self(Some(Arc::new(Inner { reel: Mutex::new(reel), over: Notify::new() })))
    }

    /// Whether there is a tape.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether anybody is to have what is asked: there is a tape, and it was not given up.
    #[must_use]
    pub(super) fn listens(&self) -> bool {
        match self.reel().as_deref() {
            Some(Reel::Recording(recorder)) => recorder.has_room(),
            Some(Reel::Replaying(_)) => true,
            None => false,
        }
    }

    /// Makes room for so many bytes beside the calls; gives whether there was.
    #[must_use]
    pub fn takes(&self, bytes: usize) -> bool {
        match self.reel().as_deref_mut() {
            Some(Reel::Recording(recorder)) => recorder.takes(bytes).is_some(),
            Some(Reel::Replaying(_)) | None => false,
        }
    }

    /// Whether the guest is told what is on a tape, and nothing that it does leaves it.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        matches!(self.reel().as_deref(), Some(Reel::Replaying(_)))
    }

    /// Whether the instance has to be a fresh one.
    pub(super) fn wants_fresh(&self) -> bool {
        match self.reel().as_deref() {
            Some(Reel::Recording(recorder)) => recorder.wants_fresh(),
            Some(Reel::Replaying(_)) => true,
            None => false,
        }
    }

    /// What was taped; `None` where nothing was, or it is too large.
    #[must_use]
    pub fn taken(&self) -> Option<Taped> {
        match self.reel().as_deref_mut() {
            Some(Reel::Recording(recorder)) => recorder.take(),
            Some(Reel::Replaying(_)) | None => None,
        }
    }

    /// The same for one more who wants it: it stays on the tape.
    #[must_use]
    pub fn copied(&self) -> Option<Taped> {
        match self.reel().as_deref() {
            Some(Reel::Recording(recorder)) => recorder.copied(),
            Some(Reel::Replaying(_)) | None => None,
        }
    }

    /// How far a replay has come, and where it has gone another way.
    #[must_use]
    pub fn played(&self) -> Played {
        match self.reel().as_deref_mut() {
            Some(Reel::Replaying(player)) => player.take(),
            Some(Reel::Recording(_)) | None => Played::default(),
        }
    }

    /// Waits until a guest that is told what is on a tape must not go on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn over(&self) {
        match &self.0 {
            Some(inner) => inner.over.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Takes down which instance runs the request: how many it has served before.
    pub(super) fn begins(&self, served: u32) {
        if let Some(Reel::Recording(recorder)) = self.reel().as_deref_mut() {
            recorder.begins(served);
        }
    }

    /// Takes down the end, of so many bytes.
    pub(super) fn ends(&self, bytes: usize, ended: impl FnOnce() -> Ended) {
        if let Some(Reel::Recording(recorder)) = self.reel().as_deref_mut() {
            recorder.ends(bytes, ended);
        }
    }

    /// An end, for tests.
    #[cfg(test)]
    pub(crate) fn ends_for_tests(&self) {
        self.ends(0, || Ended::Declined);
    }

    /// Takes down how much memory there was.
    pub(super) fn used(&self, memory: usize) {
        match self.reel().as_deref_mut() {
            Some(Reel::Recording(recorder)) => recorder.used(memory),
            Some(Reel::Replaying(player)) => player.used(memory),
            None => {}
        }
    }

    /// A line that the guest has said; gives whether somebody is to hear it.
    pub(super) fn says(&self, import: &'static str, line: impl FnOnce() -> Text) -> bool {
        match self.reel().as_deref_mut() {
            None => true,
            Some(Reel::Recording(recorder)) => {
                recorder.says(import, line());
                true
            }
            Some(Reel::Replaying(player)) => {
                player.says(import, &line());
                false
            }
        }
    }

    /// Something that the guest looks at. `beyond` is what it sees where the tape has no more of it, of so many of these and
    /// the last one that it was told.
    pub(super) fn notices<T: Serialize + DeserializeOwned>(
        &self,
        import: &'static str,
        asked: impl FnOnce() -> Text,
        work: impl FnOnce() -> T,
        beyond: impl FnOnce(u64, Option<T>) -> T,
    ) -> T {
        match self.turn(Kind::Notices, import, asked) {
            Turn::Work(number) => self.worked(number, work()),
            Turn::Told(answer) => self.read(import, &answer).unwrap_or_else(|_| beyond(0, None)),
            Turn::Beyond(count, last) => beyond(count, last.and_then(|last| serde_json::from_str(last.get()).ok())),
            Turn::Over => beyond(0, None),
        }
    }

    /// The same where it takes a while.
    pub(super) async fn notices_in_time<T: Serialize + DeserializeOwned>(
        &self,
        import: &'static str,
        asked: impl FnOnce() -> Text,
        work: impl Future<Output = T>,
        beyond: impl FnOnce(u64, Option<T>) -> T,
    ) -> T {
        match self.turn(Kind::Notices, import, asked) {
            Turn::Work(number) => self.worked(number, work.await),
            Turn::Told(answer) => match self.read(import, &answer) {
                Ok(answer) => answer,
                Err(Over) => std::future::pending().await,
            },
            Turn::Beyond(count, last) => beyond(count, last.and_then(|last| serde_json::from_str(last.get()).ok())),
            Turn::Over => std::future::pending().await,
        }
    }

    /// Something that the guest asks others.
    ///
    /// # Errors
    ///
    /// [`Over`], where the tape has another call here.
    pub(super) fn asks<T: Serialize + DeserializeOwned>(
        &self,
        import: &'static str,
        asked: impl FnOnce() -> Text,
        work: impl FnOnce() -> T,
    ) -> Result<T, Over> {
        match self.turn(Kind::Asks, import, asked) {
            Turn::Work(number) => Ok(self.worked(number, work())),
            Turn::Told(answer) => self.read(import, &answer),
            Turn::Beyond(..) | Turn::Over => Err(Over),
        }
    }

    /// The same where it takes a while. Where the tape has another call here, this does not return: who runs the guest ends it.
    pub(super) async fn asks_in_time<T: Serialize + DeserializeOwned>(
        &self,
        import: &'static str,
        asked: impl FnOnce() -> Text,
        work: impl Future<Output = T>,
    ) -> T {
        match self.turn(Kind::Asks, import, asked) {
            Turn::Work(number) => self.worked(number, work.await),
            Turn::Told(answer) => match self.read(import, &answer) {
                Ok(answer) => answer,
                Err(Over) => std::future::pending().await,
            },
            Turn::Beyond(..) | Turn::Over => std::future::pending().await,
        }
    }

    fn turn(&self, kind: Kind, import: &'static str, asked: impl FnOnce() -> Text) -> Turn {
        let Some(inner) = &self.0 else { return Turn::Work(None) };
        let turn = match &mut *lock(inner) {
            Reel::Recording(recorder) => Turn::Work(recorder.asks(import, asked)),
            Reel::Replaying(player) => player.turn(kind, import, &asked()),
        };
        if matches!(turn, Turn::Over) {
            inner.over.notify_one();
        }
        turn
    }

    fn worked<T: Serialize>(&self, number: Option<usize>, answer: T) -> T {
        if let (Some(number), Some(Reel::Recording(recorder))) = (number, self.reel().as_deref_mut()) {
            recorder.answered(number, || text(&answer));
        }
        answer
    }

    /// Reads an answer. One that is none of this call's is an edited recording's.
    fn read<T: DeserializeOwned>(&self, import: &'static str, answer: &Text) -> Result<T, Over> {
        let Some(inner) = &self.0 else { return Err(Over) };
        serde_json::from_str(answer.get()).map_err(|error| {
            if let Reel::Replaying(player) = &mut *lock(inner) {
                player.unreadable(import, &error.to_string());
            }
            inner.over.notify_one();
            Over
        })
    }

    fn reel(&self) -> Option<MutexGuard<'_, Reel>> {
        self.0.as_deref().map(lock)
    }
}

/// A panic while the lock was held cannot leave more than a call half-written.
fn lock(inner: &Inner) -> MutexGuard<'_, Reel> {
    inner.reel.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked or answered, as a tape has it.
pub(super) fn text(value: &impl Serialize) -> Text {
    serde_json::to_string(value).ok().and_then(|text| Text::parse(text).ok()).unwrap_or_else(Text::null)
}

/// Nothing is asked but the call itself.
pub(super) fn nothing() -> Text {
    Text::null()
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
