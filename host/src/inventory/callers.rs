//! Who calls, by reply queue: the names of as many as there is room for, and how many calls the others made.
//!
//! Used by [`super::row`].

use std::collections::HashMap;

use super::names::MAX_NAME;
use crate::printable::printable;

/// The most callers of one method that are told apart.
pub(super) const MAX_CALLERS: usize = 200;

/// Callers by their reply queues.
#[derive(Clone, Debug, Default)]
pub(super) struct Callers {
    calls: HashMap<String, u64>,
    /// Calls of those that there was no room for.
    others: u64,
}

impl Callers {
    /// Counts a call that wants its answer in this queue.
    pub(super) fn note(&mut self, queue: &str) {
        let queue = printable(queue, MAX_NAME);
        let has_room = self.calls.len() < MAX_CALLERS;
        match self.calls.get_mut(&queue) {
            Some(calls) => *calls += 1,
            None if has_room => drop(self.calls.insert(queue, 1)),
            None => self.others += 1,
        }
    }

    /// How many there are, up to [`MAX_CALLERS`].
    pub(super) fn distinct(&self) -> usize {
        self.calls.len()
    }

    /// Calls of those that were not told apart.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    /// Those with the most calls, and how many.
    pub(super) fn busiest(&self, most: usize) -> Vec<(String, u64)> {
        let mut all: Vec<(&String, &u64)> = self.calls.iter().collect();
        all.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
        all.into_iter().take(most).map(|(queue, calls)| (queue.clone(), *calls)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first_and_those_without_room_are_counted_together() {
        let mut callers = Callers::default();
        for number in 0..MAX_CALLERS + 50 {
            callers.note(&format!("reply_{number:04}"));
        }
        callers.note("reply_0007");
        callers.note("reply_0249");
        assert_eq!((callers.distinct(), callers.others()), (MAX_CALLERS, 51));
        assert_eq!(callers.busiest(2), [("reply_0007".to_owned(), 2), ("reply_0000".to_owned(), 1)]);
    }
}
