//! Who runs next: requests that wait take turns by handler, and within a handler by caller.
//!
//! Before it: [`crate::serve`] has pulled a request and knows its handler. After it: the request runs while it holds a
//! [`Seat`]. A flood waits in line behind itself: whoever has fewer requests running is served first.

mod gate;
mod shares;

pub use gate::{Entry, Gate, Seat, Waiting};

/// The most seats beyond `max_in_flight`: each has room for an instance, which reserves 16 GiB of address space.
const MOST_EXTRA: u16 = 256;

/// Seats beyond `max_in_flight`, for those who have less than their share while others hold all seats: a quarter. A service
/// that runs one request at a time has none.
#[must_use]
pub fn extra(max_in_flight: u16) -> u16 {
    if max_in_flight == 1 { 0 } else { max_in_flight.div_ceil(4).min(MOST_EXTRA) }
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name of the handler.
    pub handler: std::sync::Arc<str>,
    /// The caller, as [`Gate::caller`] makes it.
    pub caller: u64,
}
