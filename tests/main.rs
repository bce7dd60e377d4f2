//! End-to-end tests: the real binary, a real broker, real oslo.messaging clients.
//!
//! `tests/setup.sh` installs what they need; `make test` calls it. [`harness`] has the broker, the clients and the
//! guards; every other module tells one part of the story, from the wire in.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says what went wrong by panicking"
)]

mod harness;
mod tidy;

mod admin;
mod brokers;
mod cli;
mod client;
mod compile;
mod connection;
mod contract;
mod delivery;
mod diagnostics;
mod endpoints;
mod fair;
mod faults;
mod forward;
mod health;
mod http;
mod interop;
mod journal;
mod languages;
mod logs;
mod metrics;
mod neighbours;
mod nova;
mod oslo;
mod page;
mod performance;
mod rabbit;
mod recordings;
mod refusals;
mod releases;
mod state;
mod stopping;
mod strangers;
mod swap;
mod tls;
mod topology;
mod traces;
mod typed;
mod walls;
mod watch;
mod wire;
