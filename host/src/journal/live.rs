//! Requests in flight: who they are and how far they are.
//!
//! Before it: [`super::Recorder::begin`]. After it: [`super::report`]. In shards, so that requests that begin and end at once
//! do not wait for each other, and who reads holds up none of them: a shard is locked only to add, to remove or to copy
//! references. How many there are is bounded by the deliveries that the host takes at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use super::report::{Kind, LiveRequest, Requested, State};
use crate::printable::printed;

/// Parts of the list that are locked apart.
const SHARDS: usize = 16;

/// Bytes of a name.
const MAX_NAME: usize = 128;

/// A request as it came. The names are callers': what is kept of them is printable and bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived<'a> {
    /// Whether somebody waits for the answer.
    pub kind: Kind,
    /// The method that is asked for.
    pub method: &'a str,
    /// The namespace.
    pub namespace: Option<&'a str>,
    /// The version that is asked for.
    pub version: Option<&'a str>,
    /// The request id of its context.
    pub request_id: Option<&'a str>,
    /// The message id of its reply.
    pub message_id: Option<&'a str>,
    /// The trace that it is part of.
    pub trace_id: Option<&'a str>,
}

/// Who has a request.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) handler: String,
    pub(super) digest: String,
    pub(super) generation: u64,
}

/// One request.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) since: Instant,
    pub(super) kind: Kind,
    pub(super) method: String,
    pub(super) namespace: Option<String>,
    pub(super) version: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) found: OnceLock<Found>,
    state: AtomicU8,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct All {
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, Arc<Live>>>; SHARDS],
}

impl Live {
    pub(super) fn new(arrived: &Arrived<'_>, since: Instant) -> Self {
        let name = |text: &str| printed(text, MAX_NAME).into_owned();
        Self {
            since,
            kind: arrived.kind,
            method: name(arrived.method),
            namespace: arrived.namespace.map(name),
            version: arrived.version.map(name),
            request_id: arrived.request_id.map(name),
            message_id: arrived.message_id.map(name),
            trace_id: arrived.trace_id.map(name),
            found: OnceLock::new(),
            state: AtomicU8::new(State::default() as u8),
        }
    }

    pub(super) fn enter(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    fn state(&self) -> State {
        State::ALL.get(usize::from(self.state.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// What it is, as it is told.
    pub(super) fn requested(&self) -> Requested {
        let found = self.found.get();
        Requested {
            kind: self.kind,
            method: self.method.clone(),
            namespace: self.namespace.clone(),
            version: self.version.clone(),
            handler: found.map(|found| found.handler.clone()),
            digest: found.map(|found| found.digest.clone()),
            generation: found.map(|found| found.generation),
            request_id: self.request_id.clone(),
            message_id: self.message_id.clone(),
            trace_id: self.trace_id.clone(),
        }
    }

    fn told(&self, now: Instant) -> LiveRequest {
        let age = now.saturating_duration_since(self.since);
        LiveRequest {
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            state: self.state(),
            requested: self.requested(),
        }
    }
}

impl All {
    /// Adds a request; gives the number by which it is removed.
    pub(super) fn add(&self, live: Arc<Live>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(mut shard) = self.shard(number) {
            shard.insert(number, live);
        }
        number
    }

    /// Removes a request.
    pub(super) fn remove(&self, number: u64) {
        let removed = self.shard(number).and_then(|mut shard| shard.remove(&number));
        // Its names are freed when nobody waits for the lock.
        drop(removed);
    }

    /// All requests, the oldest first.
    pub(super) fn told(&self, now: Instant) -> Vec<LiveRequest> {
        let shards = self.shards.iter();
        let mut all: Vec<Arc<Live>> =
            shards.flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>()).collect();
        all.sort_by_key(|live| live.since);
        all.iter().map(|live| live.told(now)).collect()
    }

    fn shard(&self, number: u64) -> Option<MutexGuard<'_, HashMap<u64, Arc<Live>>>> {
        self.shards.get(number as usize % SHARDS).map(lock)
    }
}

/// A panic while the lock was held leaves a whole map: each step on it is one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
