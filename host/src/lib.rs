//! Serves OpenStack-style RPC with sandboxed WebAssembly handlers.
//!
//! A request walks one corridor, and each room is named after what flows through it:
//!
//! ```text
//!            transport ──► serve ──► envelope ──► dispatch ──► sandbox
//!   RabbitMQ    ▲          permit     bytes →      look up,     a fresh instance,
//!   or memory   │                     Request      admit        within the limits
//!               └───────── serve ◄──── reply ◄──── Outcome ◄──────┘
//!                          settle     Outcome → answer, disposition, log level
//! ```
//!
//! [`cli`] is the door, [`config`] and [`host`] put the rooms together, [`catalog`] says which handler answers. The
//! modules below are in reading order.

pub mod cli;
pub mod config;
pub mod settings;

pub mod admin;
pub mod control;
pub mod host;
pub mod operate;
pub mod serve;

pub mod transport;

pub mod compression;
pub mod confine;
pub mod envelope;
pub mod factor;
mod fresh_id;
pub mod levels;
pub mod local;
mod machine;
mod pem;
pub mod printable;
pub mod share;
pub mod version;

pub mod canary;
pub mod catalog;
pub mod dispatch;
pub mod fair;
pub mod forward;
pub mod gate;
pub mod lending;

pub mod sandbox;

pub mod capability;

pub mod recording;
pub mod replay;
pub mod shadow;

pub mod reply;

mod buckets;
pub mod journal;
pub mod metrics;
pub mod page;
pub mod trace;
pub mod web;

pub mod contract;

pub mod inventory;

pub mod client;

pub mod project;

#[cfg(test)]
mod testing;
