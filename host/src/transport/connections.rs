//! The connections to the broker: which are there, and how often each was made.
//!
//! Before it: [`super::rabbit`] opens and loses them. After it: [`crate::metrics`], for whoever wants to know how the
//! service is.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use super::pending::Pending;

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carries {
    /// Requests to this service, and their acknowledgements.
    Requests,
    /// Replies to what handlers ask of others; made when the first of them asks.
    Replies,
    /// What is published; made when there is something.
    Publications,
}

/// The connections of one transport, by what they carry. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: [Counts; 3],
    pending: Pending,
}

/// What there is of a kind of connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// Connections that are open and ready now.
    pub open: u32,
    /// How many of those the broker blocks, for want of memory or disk.
    pub blocked: u32,
    /// Connections that were made ready so far: all but the first after a loss.
    pub made: u64,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicU32,
    blocked: AtomicU32,
    made: AtomicU64,
}

/// A connection that is ready. Counts as such until it is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    connections: Connections,
    carries: Carries,
    is_blocked: AtomicBool,
}

impl Connections {
    /// What there is now.
    #[must_use]
    pub fn of(&self, carries: Carries) -> Connected {
        let Counts { open, blocked, made } = self.counts(carries);
        Connected {
            open: open.load(Ordering::Relaxed),
            blocked: blocked.load(Ordering::Relaxed),
            made: made.load(Ordering::Relaxed),
        }
    }

    /// What is being published over them.
    #[must_use]
    pub fn pending(&self) -> &Pending {
        &self.0.pending
    }

    /// Counts a connection that is ready now.
    pub(crate) fn open(&self, carries: Carries) -> Open {
        let Counts { open, made, .. } = self.counts(carries);
        open.fetch_add(1, Ordering::Relaxed);
        made.fetch_add(1, Ordering::Relaxed);
        Open { connections: self.clone(), carries, is_blocked: AtomicBool::new(false) }
    }

    fn counts(&self, carries: Carries) -> &Counts {
        let [requests, replies, publications] = &self.0.counts;
        match carries {
            Carries::Requests => requests,
            Carries::Replies => replies,
            Carries::Publications => publications,
        }
    }
}

impl Open {
    /// The broker blocks it, or does so no more.
    pub(crate) fn blocks(&self, is_blocked: bool) {
        let blocked = &self.connections.counts(self.carries).blocked;
        match (self.is_blocked.swap(is_blocked, Ordering::Relaxed), is_blocked) {
            (false, true) => drop(blocked.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(blocked.fetch_sub(1, Ordering::Relaxed)),
            (true, true) | (false, false) => {}
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.blocks(false);
        self.connections.counts(self.carries).open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_until_it_is_dropped_and_was_made_for_ever() {
        let connections = Connections::default();
        let of = |carries| connections.of(carries);
        let (first, second) = (connections.open(Carries::Replies), connections.open(Carries::Replies));
        first.blocks(true);
        first.blocks(true);
        assert_eq!(of(Carries::Replies), Connected { open: 2, blocked: 1, made: 2 });
        second.blocks(true);
        second.blocks(false);
        assert_eq!(of(Carries::Replies), Connected { open: 2, blocked: 1, made: 2 });
        drop(first);
        assert_eq!(of(Carries::Replies), Connected { open: 1, blocked: 0, made: 2 });
        drop(second);
        assert_eq!(of(Carries::Replies), Connected { open: 0, blocked: 0, made: 2 });
        assert_eq!(of(Carries::Requests), Connected::default());
    }
}
