//! State of handlers that outlives their requests: keys and bytes, a part of the store for each handler.
//!
//! Before it: [`super::Session`] holds writes back and lets the rest through. After it: [`rows`] says what a value, its
//! time and a handler's quota are, and memory or [`disk`] keep the rows; [`redis`] has a script in their place. Everything
//! is one transaction of the store, so that nobody comes between.

mod disk;
mod redis;
mod rows;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use redis::Url;

use redis::Redis;
use rows::{Look, Part, Rows, View};

use crate::settings::Settings;

/// Bytes of a key.
pub(super) const MAX_KEY: usize = 255;

/// Keys in one answer.
const PAGE: usize = 500;

/// Bytes that each key and its value count for beside their letters: what a row takes in memory with its place in the order,
/// measured, and rounded up. What does not last takes twice as much.
pub(super) const ENTRY: usize = 128;

/// Bytes of writes beyond which they are no work for a thread that others need: a millisecond or so.
const LARGE: usize = 64 << 10;

/// Where handlers' state is kept: the settings `keyvalue.path` and `keyvalue.url`. `Display` is for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this process, and gone with it.
    #[default]
    Memory,
    /// In a file.
    Path(PathBuf),
    /// In a Redis.
    Url(Url),
}

/// A store for all handlers. Clones are the same.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// In rows.
    Rows(Kept),
    /// Elsewhere.
    Redis(Redis),
}

/// Who keeps the rows.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// This process.
    Memory(Arc<Parts>),
    /// A file.
    Disk(disk::Disk),
}

/// The rows of each handler, which waits for no other's.
#[derive(Debug, Default)]
pub(super) struct Parts(Mutex<HashMap<String, Arc<InMemory>>>);

/// Rows in memory. Who waits for them holds no thread.
type InMemory = tokio::sync::Mutex<BTreeMap<Vec<u8>, Vec<u8>>>;

/// A write: a value, and for how long; `None` takes it away.
pub type Write = Option<(Vec<u8>, Option<Duration>)>;

/// Some of a handler's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their bytes; of those that were looked at, whose time is not over.
    pub keys: Vec<String>,
    /// Behind which to go on, where there may be more.
    pub next: Option<String>,
}

/// Why it did not work. `Display` is for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The handler would keep more than it may.
    #[error("the handler's keys and values would have more than {0} bytes (limits.keyvalue)")]
    Quota(usize),
    /// No number to add to.
    #[error("the value is not a number that can be added to")]
    NotANumber,
    /// No key.
    #[error("a key has 1 to {MAX_KEY} bytes")]
    Key,
    /// The request has a write of the key that is held.
    #[error("the request has set or deleted the key itself, and that is held until it succeeds")]
    Held,
    /// The store itself.
    #[error("the store does not work")]
    Broken,
}

impl Error {
    /// What is wrong, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Quota(_) => "quota",
            Self::NotANumber => "not_a_number",
            Self::Key => "key",
            Self::Held => "held",
            Self::Broken => "broken",
        }
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[error("keyvalue.path {path}: {reason}")]
pub struct OpenError {
    path: String,
    reason: String,
}

/// The part of the store that is one handler's, and how much it may keep.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(super) store: Store,
    pub(super) handler: String,
    pub(super) quota: usize,
}

impl Place {
    /// Takes the settings.
    pub(super) fn read(settings: &mut Settings) -> Self {
        match (settings.take_optional("keyvalue.path"), settings.take_optional("keyvalue.url")) {
            (Some::<PathBuf>(_), Some::<Url>(_)) => {
                settings.problem("keyvalue.url", "state is kept in one place: give keyvalue.path or keyvalue.url");
                Self::Memory
            }
            (Some(path), None) => Self::Path(path),
            (None, Some(url)) => Self::Url(url),
            (None, None) => Self::Memory,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::Rows(Kept::Memory(Arc::default()))
    }
}

impl Store {
    /// Opens the store in a file, which is made where there is none, or prepares another; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the file cannot be opened, is no store, or another process has it.
    pub(super) fn open(place: &Place) -> Result<Self, OpenError> {
        match place {
            Place::Memory => Ok(Self::default()),
            Place::Path(path) => {
                let wrong = |reason: String| OpenError { path: path.display().to_string(), reason };
                disk::Disk::open(path).map(|disk| Self::Rows(Kept::Disk(disk))).map_err(wrong)
            }
            Place::Url(url) => Ok(Self::Redis(Redis::new(url.clone()))),
        }
    }

    /// Looks whether it can be reached, and logs it where it cannot.
    pub(super) async fn look(&self) {
        if let Self::Redis(redis) = self {
            redis.look().await;
        }
    }
}

impl Parts {
    fn of(&self, handler: &str) -> Arc<InMemory> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.get(handler) {
            Some(part) => Arc::clone(part),
            None => Arc::clone(parts.entry(handler.to_owned()).or_default()),
        }
    }
}

impl Kept {
    /// Does something with a handler's rows, of so many bytes, in one transaction. What is on disk is there when it returns.
    async fn transact<T: Send + 'static>(
        &self,
        handler: &str,
        bytes: usize,
        work: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Memory(parts) => {
                let mut rows = parts.of(handler).lock_owned().await;
                if bytes <= LARGE {
                    return work(&mut *rows);
                }
                let done = tokio::task::spawn_blocking(move || work(&mut *rows));
                done.await.unwrap_or(Err(Error::Broken))
            }
            Self::Disk(disk) => disk.transact(work).await,
        }
    }

    /// Looks at a handler's rows.
    async fn look<T: Send + 'static>(
        &self,
        handler: &str,
        work: impl FnOnce(&dyn Look) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Memory(parts) => work(&*parts.of(handler).lock_owned().await),
            Self::Disk(disk) => disk.look(work).await,
        }
    }
}

impl Bucket {
    /// One value.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`]; so for all others.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.store {
            Store::Rows(kept) => {
                let key = key.to_owned();
                self.view(kept, move |view| view.get(&key)).await
            }
            Store::Redis(redis) => redis.get(self, key).await,
        }
    }

    /// All writes, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`].
    pub async fn write(&self, writes: BTreeMap<String, Write>) -> Result<(), Error> {
        match &self.store {
            Store::Rows(kept) => {
                let length = |(key, write): (&String, &Write)| held(key, write);
                let bytes = writes.iter().map(length).fold(0, usize::saturating_add);
                self.part(kept, bytes, move |part| part.write(writes)).await
            }
            Store::Redis(redis) => redis.write(self, writes).await,
        }
    }

    /// Adds to a number.
    ///
    /// # Errors
    ///
    /// [`Error::NotANumber`], [`Error::Quota`].
    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        match &self.store {
            Store::Rows(kept) => {
                let key = key.to_owned();
                self.part(kept, ENTRY, move |part| part.increment(&key, delta)).await
            }
            Store::Redis(redis) => redis.increment(self, key, delta).await,
        }
    }

    /// Exchanges a value, if it is the one that was expected.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`].
    pub async fn swap(&self, key: &str, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        match &self.store {
            Store::Rows(kept) => {
                let key = key.to_owned();
                let bytes = [&current, &next].into_iter().flatten().map(Vec::len).sum();
                self.part(kept, bytes, move |part| part.swap(&key, current, next)).await
            }
            Store::Redis(redis) => redis.swap(self, key, current, next).await,
        }
    }

    /// The keys behind one.
    ///
    /// # Errors
    ///
    /// None but [`Error::Broken`].
    pub async fn keys(&self, after: Option<String>) -> Result<Page, Error> {
        match &self.store {
            Store::Rows(kept) => self.view(kept, move |view| view.keys(after.as_deref(), PAGE)).await,
            Store::Redis(redis) => redis.keys(self, after).await,
        }
    }

    async fn part<T: Send + 'static>(
        &self,
        kept: &Kept,
        bytes: usize,
        work: impl FnOnce(&mut Part<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (handler, quota) = (self.handler.clone(), self.quota);
        kept.transact(&self.handler, bytes, move |rows| work(&mut Part::new(rows, &handler, quota))).await
    }

    async fn view<T: Send + 'static>(
        &self,
        kept: &Kept,
        work: impl FnOnce(&View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let handler = self.handler.clone();
        kept.look(&self.handler, move |rows| work(&View::new(rows, &handler))).await
    }
}

/// What a write takes as long as it is held.
pub(super) fn held(key: &str, write: &Write) -> usize {
    let value = write.as_ref().map_or(0, |(value, _)| value.len());
    key.len().saturating_add(ENTRY).saturating_add(value)
}

#[cfg(test)]
mod tests;
