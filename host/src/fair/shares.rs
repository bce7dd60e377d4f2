//! Seats, and the lines of those who wait for one: a pure structure, without clocks or tasks.
//!
//! Before it: [`super::gate`] says who comes and who goes. After it: the gate tells whoever has a seat now.
//!
//! The seats are for anybody, so that none is empty while somebody waits. Where none is free, who has less than an equal
//! share of them gets one of the extra seats. The next seat goes to the handler with the fewest requests running, and there
//! to the caller with the fewest; among equals, to the one that was served longest ago. Each step costs the logarithm of
//! how many wait.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use super::Key;

/// Who runs and who waits.
#[derive(Debug)]
pub(super) struct Shares {
    seats: usize,
    extra: usize,
    running: usize,
    /// Counts who was served, or came to wait.
    clock: u64,
    handlers: Round<Arc<str>, Round<u64, BTreeSet<u64>>>,
}

/// Lines that take turns.
#[derive(Debug)]
struct Round<K, Q> {
    lines: HashMap<K, Line<Q>>,
    /// Those in which somebody waits: the next first.
    waiting: BTreeSet<(usize, u64, K)>,
}

/// One line, and how many of it run.
#[derive(Debug)]
struct Line<Q> {
    running: usize,
    /// When it was last served or, before that, when it began.
    turn: u64,
    queue: Q,
}

/// What waits in a line: tickets, or lines of their own.
trait Queue: Default {
    fn is_empty(&self) -> bool;
}

impl Queue for BTreeSet<u64> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<K, Q: Queue> Queue for Round<K, Q> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<K, Q> Default for Round<K, Q> {
    fn default() -> Self {
        Self { lines: HashMap::new(), waiting: BTreeSet::new() }
    }
}

impl<K: Clone + Ord + Hash, Q: Queue> Round<K, Q> {
    /// Changes a line, and keeps its place in the order.
    fn change<T>(&mut self, key: &K, clock: u64, change: impl FnOnce(&mut Line<Q>) -> T) -> T {
        let line =
            self.lines.entry(key.clone()).or_insert_with(|| Line { running: 0, turn: clock, queue: Q::default() });
        if !line.queue.is_empty() {
            self.waiting.remove(&(line.running, line.turn, key.clone()));
        }
        let changed = change(line);
        if !line.queue.is_empty() {
            self.waiting.insert((line.running, line.turn, key.clone()));
        } else if line.running == 0 {
            self.lines.remove(key);
        }
        changed
    }

    /// The line whose turn it is.
    fn next(&self) -> Option<&K> {
        self.waiting.first().map(|(_, _, key)| key)
    }
}

impl Shares {
    /// Nobody is there.
    pub(super) fn new(seats: u16, extra: u16) -> Self {
        let (seats, extra) = (usize::from(seats), usize::from(extra));
        Self { seats, extra, running: 0, clock: 0, handlers: Round::default() }
    }

    /// Seats that are free for anybody.
    pub(super) fn free(&self) -> usize {
        self.seats.saturating_sub(self.running)
    }

    /// Takes a seat where one is free for anybody; then nobody waits for it.
    pub(super) fn take(&mut self, key: &Key) -> bool {
        let may = self.running < self.seats;
        if may {
            self.clock += 1;
            self.change(key, |line, clock| {
                line.running += 1;
                line.turn = clock;
            });
            self.running += 1;
        }
        may
    }

    /// Waits in line. Tickets are served in the order of their numbers.
    pub(super) fn wait(&mut self, key: &Key, ticket: u64) {
        self.clock += 1;
        self.change(key, |line, _| line.queue.insert(ticket));
    }

    /// Waits no longer; nothing, where the ticket was served.
    pub(super) fn forget(&mut self, key: &Key, ticket: u64) {
        self.change(key, |line, _| line.queue.remove(&ticket));
    }

    /// Gives a seat back.
    pub(super) fn leave(&mut self, key: &Key) {
        self.running = self.running.saturating_sub(1);
        self.change(key, |line, _| line.running = line.running.saturating_sub(1));
    }

    /// The ticket that gets a seat now, if any does. To be asked after each change until it is none.
    pub(super) fn serve(&mut self) -> Option<u64> {
        let handler = self.handlers.next()?.clone();
        let caller = *self.handlers.lines.get(&handler)?.queue.next()?;
        let key = Key { handler, caller };
        if self.running >= self.seats && !self.is_owed(&key) {
            return None;
        }
        self.clock += 1;
        let ticket = self.change(&key, |line, clock| {
            line.running += 1;
            line.turn = clock;
            line.queue.pop_first()
        });
        self.running += 1;
        ticket
    }

    /// Whether an extra seat is for such a request: its handler has less than its share, or its caller has. Callers have
    /// half of the extra seats, so that one handler's many callers do not take those of the other handlers.
    fn is_owed(&self, key: &Key) -> bool {
        let taken = self.running.saturating_sub(self.seats);
        let Some(handler) = self.handlers.lines.get(&key.handler) else { return false };
        let share = (self.seats / self.handlers.lines.len().max(1)).max(1);
        if handler.running < share {
            return taken < self.extra;
        }
        let running = handler.queue.lines.get(&key.caller).map_or(0, |line| line.running);
        let share = (share / handler.queue.lines.len().max(1)).max(1);
        running < share && taken < self.extra.div_ceil(2)
    }

    /// Changes a caller's line, and the numbers of its handler with it.
    fn change<T>(&mut self, key: &Key, change: impl FnOnce(&mut Line<BTreeSet<u64>>, u64) -> T) -> T {
        let clock = self.clock;
        self.handlers.change(&key.handler, clock, |handler| {
            let (changed, before, after, turn) = handler.queue.change(&key.caller, clock, |line| {
                let before = line.running;
                let changed = change(line, clock);
                (changed, before, line.running, line.turn)
            });
            handler.running = (handler.running + after).saturating_sub(before);
            if after > before {
                handler.turn = turn;
            }
            changed
        })
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
