//! A server for HTTP whose clients are strangers: who connects, how many at once, and for how long.
//!
//! Before it: [`crate::metrics`] says what is answered. After it: [`server`] accepts, [`places`] says who goes where there is room
//! for no more, and [`connection`] has hyper talk to one client. A client that is slow, silent or hostile costs one of
//! [`MAX_CONNECTIONS`] places, and loses it to the next one who comes.

mod body;
mod client;
mod connection;
mod impatient;
mod places;
mod server;

use std::time::Duration;

use hyper::{Request, Response, body::Incoming};

pub use body::Body;
pub use client::{Client, Peer};
pub use server::{Bounds, Listener, Server};

/// Bytes of a request's head. Prometheus sends some 300, a browser with cookies of its own a few thousand.
pub const MAX_HEAD: usize = 8 << 10;

/// Time to send the head, and for what is written to go on; twice that for an answer that has an end to be taken.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at once. One who comes beyond that takes the place of the one who has been silent for longest.
pub const MAX_CONNECTIONS: usize = 256;

/// What is asked. Among its extensions is the [`Client`].
pub type Question = Request<Incoming>;

/// What is answered.
pub type Answer = Response<Body>;

#[cfg(test)]
#[path = "web/tests.rs"]
mod tests;
