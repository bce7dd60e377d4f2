//! What the stories are told with: a broker, a client, a server, and the host itself.
//!
//! Everything here blocks, runs on plain threads, waits for a bounded time, and panics with what to do. Every guard ends
//! what it started when it is dropped; a test process that is killed takes its children along, because they read from
//! its pipes, or by [`tie`].

#![allow(dead_code, reason = "every part is for any story, and not every part is in one yet")]

pub(crate) mod api;
mod base64;
mod broker;
mod build;
mod certificates;
mod collector;
mod decoder;
pub(crate) mod guest;
mod http;
mod ledger;
pub(crate) mod load;
mod log;
mod nova;
mod oslo;
mod page;
pub(crate) mod process;
pub(crate) mod prometheus;
mod proxy;
mod redis;
mod scratch;
mod serve;
mod stories;
mod tie;
mod vhost;
mod wasm;
mod web;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "as above")]
pub(crate) use self::{
    api::Api,
    broker::Broker,
    build::{guests, handlers, languages, nova_host},
    certificates::Certificates,
    collector::{Collector, Span},
    decoder::{Judged, OsloDecoder},
    ledger::{Ledger, Tally},
    load::{LIMIT, Load, OsloLoad, client},
    nova::{Exception, NovaClient, Services},
    oslo::{Answer, OsloClient, OsloError, OsloServer, Outstanding, Release, Remote},
    page::{DESK, Page, Screen},
    prometheus::Prometheus,
    proxy::{Proxy, Way},
    redis::Redis,
    scratch::Scratch,
    serve::Serve,
    tie::tie,
    vhost::{Message, Queue, Vhost},
    wasm::Bomb,
    web::Web,
};

/// Longer than anything here takes on a loaded machine; whatever waits longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ lies in the repository").to_owned()
}

/// Asks again until the answer is `Some`, and returns it.
///
/// # Panics
///
/// After [`PATIENCE`], naming what was waited for.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
