//! What has arrived and was not taken: no more than the broker leaves unsettled.
//!
//! Before it: [`super::session`] hears of it. After it: [`super::consumer`] takes it when somebody has time.

use std::collections::VecDeque;

/// What waits, by queue.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    queues: Vec<VecDeque<T>>,
    /// The queue that is asked first.
    turn: usize,
}

impl<T> Waiting<T> {
    /// Begins with nothing, for so many queues.
    pub(crate) fn new(queues: usize) -> Self {
        Self { queues: (0..queues).map(|_| VecDeque::new()).collect(), turn: 0 }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Adds what a queue has delivered.
    pub(crate) fn push(&mut self, index: usize, arrived: T) {
        if let Some(queue) = self.queues.get_mut(index) {
            queue.push_back(arrived);
        }
    }

    /// Takes the oldest of a queue, of another one each time: a full topic does not hold up a fanout. With the queue's index.
    pub(crate) fn take(&mut self) -> Option<(usize, T)> {
        let count = self.queues.len();
        let mut order = (self.turn..count).chain(0..self.turn.min(count));
        let (index, taken) = order.find_map(|index| Some((index, self.queues.get_mut(index)?.pop_front()?)))?;
        self.turn = index + 1;
        Some((index, taken))
    }

    /// Lets go of what a queue has delivered.
    pub(crate) fn forget(&mut self, index: usize) {
        self.queues.get_mut(index).into_iter().for_each(VecDeque::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_take_turns_and_each_keeps_its_order() {
        let mut waiting = Waiting::new(3);
        for (index, arrived) in [(0, "a"), (0, "b"), (0, "c"), (2, "x"), (2, "y")] {
            waiting.push(index, arrived);
        }
        assert_eq!(waiting.len(), 5);
        assert_eq!(waiting.take(), Some((0, "a")));
        assert_eq!(waiting.take(), Some((2, "x")));
        waiting.push(1, "i");
        assert_eq!(waiting.take(), Some((0, "b")));
        assert_eq!(waiting.take(), Some((1, "i")));
        waiting.forget(2);
        assert_eq!(waiting.take(), Some((0, "c")));
        assert!(waiting.is_empty() && waiting.take().is_none());
    }
}
