//! State of handlers that outlives their requests: keys and bytes, a part of the store for each handler.
//!
//! Before it: [`super::Session`] holds writes back and lets the rest through. After it: [`rows`] says what a value, its
//! time and a handler's quota are; `memory` and [`disk`] keep the rows. Everything is one transaction of the store, so
//! that nobody comes between.

mod disk;
mod rows;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rows::{Part, Rows};

/// Bytes of a key.
pub(super) const MAX_KEY: usize = 255;

/// Keys in one answer.
const PAGE: usize = 500;

/// A store for all handlers. Clones are the same.
#[derive(Clone, Debug)]
pub enum Store {
    /// In this process, and gone with it.
    Memory(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>),
    /// In a file.
    Disk(disk::Disk),
}

/// A write: a value, and for how long; `None` takes it away.
pub type Write = Option<(Vec<u8>, Option<Duration>)>;

/// Some of a handler's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their bytes.
    pub keys: Vec<String>,
    /// Whether there are more behind the last.
    pub more: bool,
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

impl Default for Store {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl Store {
    /// Opens the store in a file, which is made where there is none; without a path, one in memory.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the file cannot be opened, is no store, or another process has it.
    pub fn open(path: Option<&Path>) -> Result<Self, OpenError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let wrong = |reason: String| OpenError { path: path.display().to_string(), reason };
        disk::Disk::open(path).map(Self::Disk).map_err(wrong)
    }

    /// Does something with all rows, in one transaction. What is on disk is there when it returns.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                work(&mut *rows)
            }
            Self::Disk(disk) => disk.transact(work).await,
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
        let key = key.to_owned();
        self.part(move |part| part.get(&key)).await
    }

    /// All writes, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`].
    pub async fn write(&self, writes: BTreeMap<String, Write>) -> Result<(), Error> {
        self.part(move |part| part.write(&writes)).await
    }

    /// Adds to a number.
    ///
    /// # Errors
    ///
    /// [`Error::NotANumber`], [`Error::Quota`].
    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let key = key.to_owned();
        self.part(move |part| part.increment(&key, delta)).await
    }

    /// Exchanges a value, if it is the one that was expected.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`].
    pub async fn swap(&self, key: &str, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        let key = key.to_owned();
        self.part(move |part| part.swap(&key, current, next)).await
    }

    /// The keys behind one.
    ///
    /// # Errors
    ///
    /// None but [`Error::Broken`].
    pub async fn keys(&self, after: Option<String>) -> Result<Page, Error> {
        self.part(move |part| part.keys(after.as_deref(), PAGE)).await
    }

    async fn part<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Part<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (handler, quota) = (self.handler.clone(), self.quota);
        self.store.transact(move |rows| work(&mut Part::new(rows, &handler, quota))).await
    }
}

#[cfg(test)]
mod tests;
