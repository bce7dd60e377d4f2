//! The gate: where requests wait until they have a seat.
//!
//! Before it: [`crate::serve`] has pulled a request. After it: its handler runs, and [`crate::lending`] gives the seat to
//! others while it waits for a call.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

use super::{Key, shares::Shares};

/// Who runs and who waits. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Debug)]
struct State {
    shares: Shares,
    waiting: HashMap<u64, Waits>,
    /// The number of the next ticket.
    ticket: u64,
}

/// One that waits.
#[derive(Debug)]
struct Waits {
    key: Key,
    seat: oneshot::Sender<Seat>,
}

/// The right to run. Given up when dropped.
#[derive(Debug)]
pub struct Seat {
    gate: Gate,
    key: Key,
    is_held: AtomicBool,
}

/// What comes of asking for a seat.
#[derive(Debug)]
pub enum Entry {
    /// One was free.
    Seated(Seat),
    /// There is a line.
    Waits(Waiting),
}

/// A request in line. Dropped, it waits no longer.
#[derive(Debug)]
pub struct Waiting {
    ticket: Ticket,
    seat: oneshot::Receiver<Seat>,
}

#[derive(Debug)]
struct Ticket {
    gate: Gate,
    key: Key,
    number: u64,
}

impl Gate {
    /// So many seats, and so many more for those who have less than their share. Nobody is there yet.
    #[must_use]
    pub fn new(seats: u16, extra: u16) -> Self {
        let state = State { shares: Shares::new(seats, extra), waiting: HashMap::new(), ticket: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), hasher: RandomState::new() }))
    }

    /// A caller, by what identifies it. Senders choose its length, so a number stands for it.
    #[must_use]
    pub fn caller(&self, identity: Option<&str>) -> u64 {
        self.0.hasher.hash_one(identity)
    }

    /// Seats that are free for anybody.
    #[must_use]
    pub fn free(&self) -> usize {
        self.lock().shares.free()
    }

    /// Asks for a seat.
    #[must_use]
    pub fn enter(&self, key: Key) -> Entry {
        let mut state = self.lock();
        if state.shares.take(&key) {
            return Entry::Seated(Seat::new(self, key));
        }
        let (sender, seat) = oneshot::channel();
        let number = state.ticket;
        state.ticket += 1;
        state.shares.wait(&key, number);
        state.waiting.insert(number, Waits { key: key.clone(), seat: sender });
        self.serve(state);
        Entry::Waits(Waiting { ticket: Ticket { gate: self.clone(), key, number }, seat })
    }

    fn leave(&self, key: &Key) {
        let mut state = self.lock();
        state.shares.leave(key);
        self.serve(state);
    }

    /// Gives seats to those whose turn it is.
    fn serve(&self, mut state: MutexGuard<'_, State>) {
        let mut served = Vec::new();
        while let Some(ticket) = state.shares.serve() {
            served.extend(state.waiting.remove(&ticket));
        }
        // Who has gone meanwhile gives the seat back, which takes the lock.
        drop(state);
        for Waits { key, seat } in served {
            drop(seat.send(Seat::new(self, key)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The seat, when it is this request's turn.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it waits no longer.
    pub async fn seat(self) -> Seat {
        let Self { ticket, seat } = self;
        match seat.await {
            Ok(seat) => seat,
            // The other end is dropped only after a seat was sent.
            Err(_) => Seat { gate: ticket.gate.clone(), key: ticket.key.clone(), is_held: AtomicBool::new(false) },
        }
    }

    /// The seat, where it has come already.
    ///
    /// # Errors
    ///
    /// The request that still waits.
    pub fn try_seat(mut self) -> Result<Seat, Self> {
        self.seat.try_recv().map_err(|_| self)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if state.waiting.remove(&self.number).is_some() {
            state.shares.forget(&self.key, self.number);
        }
    }
}

impl Seat {
    fn new(gate: &Gate, key: Key) -> Self {
        Self { gate: gate.clone(), key, is_held: AtomicBool::new(true) }
    }

    /// Gives it to who waits for one; nothing, where it is given up already.
    pub fn release(&self) {
        if self.is_held.swap(false, Ordering::AcqRel) {
            self.gate.leave(&self.key);
        }
    }

    /// Takes it back where one is free; whether it is held now.
    #[must_use]
    pub fn try_back(&self) -> bool {
        if self.is_held.load(Ordering::Acquire) {
            return true;
        }
        let may = self.gate.lock().shares.take(&self.key);
        // Two who take it back at once have two seats between them, and one is given back.
        if may && self.is_held.swap(true, Ordering::AcqRel) {
            self.gate.leave(&self.key);
        }
        may || self.is_held.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
