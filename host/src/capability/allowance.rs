//! How much one request may send and get, and a handler keep.

use crate::settings::{Bytes, Settings};

/// Calls and casts: nova builds at most some hundred instances a request, with one cast each.
const DEFAULT_REQUESTS: u32 = 1000;

/// Calls at once: as many as a client in Python would have threads for.
const DEFAULT_OUTSTANDING: u16 = 16;

/// Arguments that are sent, and results that come back: as much as a handler is given and may answer itself.
const DEFAULT_BYTES: Bytes = Bytes(16 << 20);

/// Keys and values of a handler: a cache or some counters, and no database.
const DEFAULT_KEYVALUE: Bytes = Bytes(16 << 20);

/// HTTP requests: some hundred images or ports, and no crawler.
const DEFAULT_HTTP_REQUESTS: u32 = 100;

/// HTTP requests at once: each is a socket, and a process often has no more than 1024 for all of its handlers.
const DEFAULT_HTTP_OUTSTANDING: u16 = 4;

/// What HTTP requests send, and get in return: so much each way.
const DEFAULT_HTTP_BYTES: Bytes = Bytes(16 << 20);

/// What one request may send and get, and a handler keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Calls, casts and fanouts.
    pub requests: u32,
    /// Calls that wait for their results at once; more wait their turn.
    pub outstanding: u16,
    /// Arguments sent, and results and failures that come back: so much each way.
    pub bytes: Bytes,
    /// Keys and values that the handler keeps, all together.
    pub keyvalue: Bytes,
    /// HTTP requests.
    pub http_requests: u32,
    /// HTTP requests that are under way at once; more wait their turn.
    pub http_outstanding: u16,
    /// Bytes that HTTP requests send, and bytes that come back: so much each way.
    pub http_bytes: Bytes,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            requests: DEFAULT_REQUESTS,
            outstanding: DEFAULT_OUTSTANDING,
            bytes: DEFAULT_BYTES,
            keyvalue: DEFAULT_KEYVALUE,
            http_requests: DEFAULT_HTTP_REQUESTS,
            http_outstanding: DEFAULT_HTTP_OUTSTANDING,
            http_bytes: DEFAULT_HTTP_BYTES,
        }
    }
}

impl Allowance {
    /// Takes the settings; `self` are those of the service.
    #[must_use]
    pub fn read(&self, settings: &mut Settings) -> Self {
        Self {
            requests: settings.take_within("limits.rpc_requests", self.requests, 1..=1_000_000),
            outstanding: settings.take_within("limits.rpc_outstanding", self.outstanding, 1..=1000),
            bytes: settings.take_within("limits.rpc_bytes", self.bytes, Bytes(1)..=Bytes(1 << 30)),
            keyvalue: settings.take_within("limits.keyvalue", self.keyvalue, Bytes(1)..=Bytes(1 << 40)),
            http_requests: settings.take_within("limits.http_requests", self.http_requests, 1..=1_000_000),
            http_outstanding: settings.take_within("limits.http_outstanding", self.http_outstanding, 1..=1000),
            http_bytes: settings.take_within("limits.http_bytes", self.http_bytes, Bytes(1)..=Bytes(1 << 30)),
        }
    }
}
