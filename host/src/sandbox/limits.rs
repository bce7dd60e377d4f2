//! What one request may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::engine::{MAX_INSTANCES, MAX_MEMORY, MAX_TABLES};
use crate::{
    capability,
    settings::{Bytes, Settings},
};

/// Wall-clock time: the reference's `rpc_response_timeout`, after which nobody waits for the answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Linear memory: four times what Python's runtime starts with.
const DEFAULT_MEMORY: Bytes = Bytes(64 << 20);

/// Arguments and results: RabbitMQ recommends messages far below this; nova's largest have some 100 KiB.
const DEFAULT_MESSAGE: Bytes = Bytes(16 << 20);

/// Elements of tables: Python's runtime, the largest in use, has 15,000.
const DEFAULT_TABLES: u32 = 20_000;

/// Core instances: a component of one module has up to four; Python's, of many libraries, some twenty.
const DEFAULT_INSTANCES: u32 = 32;

/// The call stack: wasmtime's own default.
const DEFAULT_STACK: Bytes = Bytes(512 << 10);

/// Log text: a screenful or ten.
const DEFAULT_LOG: Bytes = Bytes(64 << 10);

/// Time that a host function may hold a request beyond its deadline before it is cut off from outside. Guests
/// themselves stop at the first tick after it.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// The limits of one handler's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time from the start of the handler.
    pub timeout: Duration,
    /// Time that it computes, waiting not counted; `None` leaves it to `timeout`.
    pub cpu: Option<Duration>,
    /// Linear memory, counted over all memories of the instance.
    pub memory: Bytes,
    /// Elements of tables, counted over all tables of the instance.
    pub tables: u32,
    /// Core instances of which the instance is made.
    pub instances: u32,
    /// The call stack; one size for all handlers.
    pub stack: Bytes,
    /// The arguments' JSON.
    pub arguments: Bytes,
    /// The result's JSON, and everything else that a guest hands to the host in one call.
    pub result: Bytes,
    /// Text written to the log by one request.
    pub log: Bytes,
    /// Requests of the handler at once; `None` leaves it to `max_in_flight`.
    pub concurrency: Option<u16>,
    /// Requests that one instance serves, one after the other; 1 is a fresh instance for each. A manifest's.
    pub reuse: u32,
    /// What one request may send and get.
    pub rpc: capability::Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            cpu: None,
            memory: DEFAULT_MEMORY,
            tables: DEFAULT_TABLES,
            instances: DEFAULT_INSTANCES,
            stack: DEFAULT_STACK,
            arguments: DEFAULT_MESSAGE,
            result: DEFAULT_MESSAGE,
            log: DEFAULT_LOG,
            concurrency: None,
            reuse: 1,
            rpc: capability::Allowance::default(),
        }
    }
}

impl Limits {
    /// Takes the section `limits` of the service's configuration.
    #[must_use]
    pub fn read_service(settings: &mut Settings) -> Self {
        let stack = settings.take_within("limits.stack", DEFAULT_STACK, Bytes(64 << 10)..=Bytes(16 << 20));
        Self { stack, ..Self::default() }.read(settings)
    }

    /// Takes the section `limits` of a manifest; `self` are the service's.
    #[must_use]
    pub fn read(&self, settings: &mut Settings) -> Self {
        let message = Bytes(1)..=Bytes(1 << 30);
        let day = Duration::from_secs(86_400);
        Self {
            timeout: settings.take_within("limits.timeout", self.timeout, Duration::from_millis(1)..=day),
            cpu: match settings.take_within("limits.cpu", Duration::ZERO, Duration::ZERO..=day) {
                Duration::ZERO => self.cpu,
                given => Some(given),
            },
            memory: settings.take_within("limits.memory", self.memory, Bytes(64 << 10)..=Bytes(MAX_MEMORY)),
            tables: settings.take_within("limits.tables", self.tables, 0..=MAX_TABLES),
            instances: settings.take_within("limits.instances", self.instances, 1..=MAX_INSTANCES),
            stack: self.stack,
            arguments: settings.take_within("limits.arguments", self.arguments, message.clone()),
            result: settings.take_within("limits.result", self.result, message.clone()),
            log: settings.take_within("limits.log", self.log, Bytes(0)..=Bytes(1 << 30)),
            concurrency: match settings.take_within("limits.concurrency", 0, 0..=u16::MAX) {
                0 => self.concurrency,
                given => Some(given),
            },
            reuse: self.reuse,
            rpc: self.rpc.read(settings),
        }
    }
}

/// A limit was reached; what a guest's request for more ends in.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("more than {0} of linear memory")]
    Memory(Bytes),
    #[error("more than {0} elements of tables")]
    Tables(u32),
}

/// Counts what the instances of one store use.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    memory: usize,
    tables: usize,
    /// What an instance had before its first request.
    started: (usize, usize),
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), memory: 0, tables: 0, started: (0, 0) }
    }

    /// Bytes of linear memory.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// The instance is there, and no request has run in it.
    pub(super) fn is_started(&mut self) {
        self.started = (self.memory, self.tables);
    }

    /// Whether the instance has used more than half of the room that it had when it was started.
    pub(super) fn is_worn(&self) -> bool {
        let is_worn = |started: usize, now: usize, limit: usize| now - started > limit.saturating_sub(started) / 2;
        let (memory, tables) = self.started;
        is_worn(memory, self.memory, self.limits.memory.0) || is_worn(tables, self.tables, self.limits.tables as usize)
    }
}

// A trap rather than -1: each language makes something else of a failed growth, most of it unclear.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.memory = self.memory.saturating_add(desired.saturating_sub(current));
        let limit = self.limits.memory;
        if self.memory > limit.0 { Err(wasmtime::Error::new(Exceeded::Memory(limit))) } else { Ok(true) }
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.tables = self.tables.saturating_add(desired.saturating_sub(current));
        let limit = self.limits.tables;
        if self.tables > limit as usize { Err(wasmtime::Error::new(Exceeded::Tables(limit))) } else { Ok(true) }
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    // The engine's own bounds are lower, and checked when the component is loaded.
    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
