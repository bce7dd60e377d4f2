//! What one request does with its handler's state.
//!
//! Before it: the guest. After it: the handler's [`Bucket`]. Writes are held with the casts, and seen by the request
//! itself before; what must have an answer from what is shared is done at once.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Effects, Session,
    keyvalue::{Bucket, Error, MAX_KEY, Page, Write, held},
};
use crate::metrics::{Effect, Limit};

impl Session {
    /// Whether the handler may keep state.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.bucket.is_some()
    }

    /// One value, as the request sees it.
    ///
    /// # Errors
    ///
    /// [`Error`], as all others.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        check(key)?;
        if let Some(held) = self.used().writes.get(key) {
            return Ok(held.as_ref().map(|(value, _)| value.clone()));
        }
        self.looks("state get", self.bucket()?.get(key)).await
    }

    /// Sets a value, for a time or for ever, or takes it away: now, or when the handler has succeeded.
    ///
    /// # Errors
    ///
    /// [`Error::Quota`] where all that is held is more than the handler may keep; what it keeps already is counted when
    /// it is released.
    pub async fn set(&self, key: String, write: Option<(Vec<u8>, Option<Duration>)>) -> Result<(), Error> {
        check(&key)?;
        let quota = self.bucket()?.quota;
        if self.grants.effects == Effects::Immediate {
            self.looks("state set", self.put(BTreeMap::from([(key, write)]))).await?;
            self.metrics.effects(Effect::Released, 1);
            return Ok(());
        }
        let mut used = self.used();
        let before = used.writes.get(&key).map_or(0, |write| held(&key, write));
        let held = used.written.saturating_sub(before).saturating_add(held(&key, &write));
        if held > quota {
            return Err(self.counted(Error::Quota(quota)));
        }
        used.written = held;
        used.writes.insert(key, write);
        drop(used);
        self.holds("a write", "state");
        Ok(())
    }

    /// Adds to a number, at once.
    ///
    /// # Errors
    ///
    /// [`Error::Held`] where the request has set the key itself.
    pub async fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.looks("state increment", self.shared(key)?.increment(key, delta))
            .await
            .map_err(|error| self.counted(error))
    }

    /// Exchanges a value, if it is the one that was expected, at once.
    ///
    /// # Errors
    ///
    /// As [`Session::increment`].
    pub async fn swap(&self, key: &str, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        self.looks("state swap", self.shared(key)?.swap(key, current, next)).await.map_err(|error| self.counted(error))
    }

    /// The keys behind one, without what is held.
    ///
    /// # Errors
    ///
    /// None but [`Error::Broken`].
    pub async fn keys(&self, after: Option<String>) -> Result<Page, Error> {
        self.looks("state keys", self.bucket()?.keys(after)).await
    }

    /// Keeps what was held.
    pub(super) async fn put(&self, writes: BTreeMap<String, Write>) -> Result<(), Error> {
        if writes.is_empty() {
            return Ok(());
        }
        self.bucket()?.write(writes).await.map_err(|error| self.counted(error))
    }

    /// The state that others see, for a key of which the request has held nothing back.
    fn shared(&self, key: &str) -> Result<&Bucket, Error> {
        check(key)?;
        if self.used().writes.contains_key(key) { Err(Error::Held) } else { self.bucket() }
    }

    fn bucket(&self) -> Result<&Bucket, Error> {
        self.bucket.as_ref().ok_or(Error::Broken)
    }

    fn counted(&self, error: Error) -> Error {
        if matches!(error, Error::Quota(_)) {
            self.metrics.hit(Limit::Keyvalue);
        }
        error
    }
}

fn check(key: &str) -> Result<(), Error> {
    if (1..=MAX_KEY).contains(&key.len()) { Ok(()) } else { Err(Error::Key) }
}
