//! State in a Redis, which several hosts share.
//!
//! Before it: [`super::Bucket`]. After it: a server that the operator has named, and one script there
//! ([`state.lua`](redis/state.lua)), which does each operation in one step: what rows mean in the other stores stands there
//! once more. A connection has one command at a time, and is closed where anything is wrong with it.

mod connection;
mod resp;
mod url;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use self::{
    connection::{Connection, Trouble, unexpected},
    resp::Answer,
};
use super::{Bucket, Error, MAX_KEY, PAGE, Page, Write, rows::LOOKED};

pub use url::Url;

/// What stands before a handler's name in Redis' keys. What stands behind it has no colon, so that no name is another's.
const PREFIX: &str = "nova-host:";

/// Connections of a host: Redis does one thing at a time, so more would only wait there.
const CONNECTIONS: usize = 16;

/// Time for one operation, connection and place included. Redis answers in a millisecond, and stands still for some
/// seconds where it writes a large state to a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an answer may have where the quota is less: a value that was kept when the default was in force, and a page of
/// keys.
const LEAST: usize = (16 << 20) + PAGE * (MAX_KEY + 16);

/// A Redis. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::capability) struct Redis(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: Url,
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// Whether the log knows that it does not work.
    is_down: AtomicBool,
}

impl Redis {
    /// Prepares it; nothing is connected yet.
    pub(super) fn new(url: Url) -> Self {
        let (places, idle) = (Semaphore::new(CONNECTIONS), Mutex::default());
        Self(Arc::new(Shared { url, places, idle, is_down: AtomicBool::new(false) }))
    }

    /// Connects, so that the log has what is wrong before the first request finds it.
    pub(super) async fn look(&self) {
        self.with(async |_| Ok(())).await.ok();
    }

    pub(super) async fn get(&self, bucket: &Bucket, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.run(bucket, vec![b"get".into(), key.into()], |answer| match answer {
            Answer::Nothing => Some(Ok(None)),
            Answer::Value(value) => Some(Ok(Some(value))),
            _ => None,
        })
        .await
    }

    pub(super) async fn write(&self, bucket: &Bucket, writes: BTreeMap<String, Write>) -> Result<(), Error> {
        let mut words = vec![b"write".into(), bucket.quota.to_string().into_bytes()];
        for (key, write) in writes {
            let ttl = write.as_ref().and_then(|(_, ttl)| Some(ttl.as_ref()?.as_millis().to_string().into_bytes()));
            words.extend([key.into_bytes(), optional(write.map(|(value, _)| value)), optional(ttl)]);
        }
        self.run(bucket, words, |answer| match answer {
            Answer::Word(word) if word == "OK" => Some(Ok(())),
            Answer::Word(word) if word == "QUOTA" => Some(Err(Error::Quota(bucket.quota))),
            _ => None,
        })
        .await
    }

    pub(super) async fn increment(&self, bucket: &Bucket, key: &str, delta: i64) -> Result<i64, Error> {
        let words = vec![b"increment".into(), bucket.quota.to_string().into(), key.into(), delta.to_string().into()];
        self.run(bucket, words, |answer| match answer {
            Answer::Value(sum) => String::from_utf8(sum).ok()?.parse().ok().map(Ok),
            Answer::Word(word) if word == "NUMBER" => Some(Err(Error::NotANumber)),
            Answer::Word(word) if word == "QUOTA" => Some(Err(Error::Quota(bucket.quota))),
            _ => None,
        })
        .await
    }

    pub(super) async fn swap(
        &self,
        bucket: &Bucket,
        key: &str,
        current: Option<Vec<u8>>,
        next: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        let words =
            vec![b"swap".into(), bucket.quota.to_string().into(), key.into(), optional(current), optional(next)];
        self.run(bucket, words, |answer| match answer {
            Answer::Word(word) if word == "OK" => Some(Ok(true)),
            Answer::Word(word) if word == "OTHER" => Some(Ok(false)),
            Answer::Word(word) if word == "QUOTA" => Some(Err(Error::Quota(bucket.quota))),
            _ => None,
        })
        .await
    }

    pub(super) async fn keys(&self, bucket: &Bucket, after: Option<String>) -> Result<Page, Error> {
        let words = vec![
            b"keys".into(),
            optional(after.map(String::into_bytes)),
            PAGE.to_string().into(),
            LOOKED.to_string().into(),
        ];
        self.run(bucket, words, |answer| {
            let Answer::Values(values) = answer else { return None };
            let mut values = values.into_iter();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let next = values.next()?.strip_prefix(b"+").map(text);
            let keys = values.map(|key| text(&key)).collect();
            Some(Ok(Page { keys, next }))
        })
        .await
    }

    /// Runs the script for a handler.
    async fn run<T>(
        &self,
        bucket: &Bucket,
        words: Vec<Vec<u8>>,
        read: impl FnOnce(Answer) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let keys = ["values", "order", "ends", "sum"].map(|part| format!("{PREFIX}{}:{part}", bucket.handler));
        let number = keys.len().to_string();
        let mut command = vec![number.as_bytes()];
        command.extend(keys.iter().map(String::as_bytes));
        command.extend(words.iter().map(Vec::as_slice));
        let most = bucket.quota.saturating_add(LEAST);
        self.with(async |connection| {
            let answer = connection.run(&command, most).await?;
            if matches!(answer, Answer::Refused(_)) {
                Err(unexpected(answer))
            } else {
                read(answer).ok_or(Trouble::Unexpected)
            }
        })
        .await?
    }

    /// Does something with a connection, in time. Dropped half-way, it is done or not, and the connection is closed.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Connection) -> Result<T, Trouble>) -> Result<T, Error> {
        let shared = &*self.0;
        let done = tokio::time::timeout(PATIENCE, async {
            let _place = shared.places.acquire().await.ok();
            let mut connection = match shared.usable() {
                Some(connection) => connection,
                None => Connection::open(&shared.url).await?,
            };
            let done = work(&mut connection).await?;
            shared.idle().push(connection);
            Ok(done)
        });
        match done.await.unwrap_or(Err(Trouble::Silent(PATIENCE))) {
            Ok(done) => {
                if shared.is_down.swap(false, Ordering::Relaxed) {
                    tracing::info!(at = %shared.url, "the key-value store works again");
                }
                Ok(done)
            }
            Err(trouble) => {
                // The others may be of the same server that has gone.
                shared.idle().clear();
                match shared.is_down.swap(true, Ordering::Relaxed) {
                    false => tracing::error!(error = %trouble, at = %shared.url, "the key-value store does not work"),
                    true => tracing::debug!(error = %trouble, at = %shared.url, "the key-value store does not work"),
                }
                Err(Error::Broken)
            }
        }
    }
}

impl Shared {
    /// A connection that rests.
    fn usable(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(Connection::is_usable)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // A panic while the lock was held cannot leave it half-done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be missing, as the script takes it.
fn optional(value: Option<Vec<u8>>) -> Vec<u8> {
    value.map_or_else(|| b"-".into(), |value| [b"+".as_slice(), &value].concat())
}
