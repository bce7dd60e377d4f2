//! What one request may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use crate::settings::{Bytes, Settings};

/// Wall-clock time: the reference's `rpc_response_timeout`, after which nobody waits for the answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Linear memory: four times what Python's runtime starts with.
const DEFAULT_MEMORY: Bytes = Bytes(64 << 20);

/// Arguments and results: RabbitMQ recommends messages far below this; nova's largest have some 100 KiB.
const DEFAULT_MESSAGE: Bytes = Bytes(16 << 20);

/// Log text: a screenful or ten.
const DEFAULT_LOG: Bytes = Bytes(64 << 10);

/// Time that a host function may hold a request beyond its deadline before it is cut off from outside. Guests
/// themselves stop at the first tick after it.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// Core instances, memories and tables that one request may make.
const MAX_PARTS: usize = 64;

/// The limits of one handler's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time from the start of the handler.
    pub timeout: Duration,
    /// Linear memory, counted over all memories of the instance.
    pub memory: Bytes,
    /// The arguments' JSON.
    pub arguments: Bytes,
    /// The result's JSON, and everything else that a guest hands to the host in one call.
    pub result: Bytes,
    /// Text written to the log by one request.
    pub log: Bytes,
    /// Requests of the handler at once; `None` leaves it to `max_in_flight`.
    pub concurrency: Option<u16>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            memory: DEFAULT_MEMORY,
            arguments: DEFAULT_MESSAGE,
            result: DEFAULT_MESSAGE,
            log: DEFAULT_LOG,
            concurrency: None,
        }
    }
}

impl Limits {
    /// Takes the section `limits`; `self` are the defaults.
    #[must_use]
    pub fn read(&self, settings: &mut Settings) -> Self {
        let message = Bytes(1)..=Bytes(1 << 30);
        let day = Duration::from_secs(86_400);
        Self {
            timeout: settings.take_within("limits.timeout", self.timeout, Duration::from_millis(1)..=day),
            memory: settings.take_within("limits.memory", self.memory, Bytes(64 << 10)..=Bytes(MAX_MEMORY)),
            arguments: settings.take_within("limits.arguments", self.arguments, message.clone()),
            result: settings.take_within("limits.result", self.result, message.clone()),
            log: settings.take_within("limits.log", self.log, Bytes(0)..=Bytes(1 << 30)),
            concurrency: match settings.take_within("limits.concurrency", 0, 0..=u16::MAX) {
                0 => self.concurrency,
                given => Some(given),
            },
        }
    }
}

/// The limit on memory was reached; the fault that a guest's request for more ends in.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} of linear memory")]
pub(super) struct OutOfMemory(pub Bytes);

/// Counts what the instances of one store use.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: Bytes,
    memory: usize,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limit: limits.memory, memory: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limit.0 {
            // A trap rather than -1: each language makes something else of a failed growth, most of it unclear.
            return Err(wasmtime::Error::new(OutOfMemory(self.limit)));
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}
