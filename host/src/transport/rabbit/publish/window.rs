//! How far a channel may be ahead of what the broker has said.
//!
//! Before it: [`super::lanes`] sends a message. After it: there is room for another, or not. A queue that is slow makes its
//! channel owe: a quorum queue from 32 unconfirmed messages on (`quorum_commands_soft_limit`). From then on the channel gives its
//! connection no more credit, of which as few as 200 messages are left (`credit_flow_default_credit`), and RabbitMQ stops reading
//! a connection one of whose channels has none. All that is sent on the channel counts, for whichever queue. So the oldest message
//! that the broker has not spoken of bounds what is sent after it. Pure.

use std::collections::VecDeque;

/// How many messages there may be from the oldest one on that the broker has not spoken of: below 32 + 200.
pub(crate) const LENGTH: usize = 192;

/// How many of these may be for one queue, or one exchange and key: where that confirms nothing, the others have the rest.
pub(crate) const MAX_OF_ONE: usize = LENGTH / 2;

/// The messages from that one on, by their numbers, which grow; and whether the broker has spoken of each.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<(u64, bool)>);

impl Window {
    /// Whether one more may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < LENGTH
    }

    /// Whether the broker has spoken of all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has spoken of later ones than the oldest that it has not spoken of.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.0.iter().any(|(_, is_heard)| *is_heard)
    }

    /// Notes that a message is sent, with a larger number than those before.
    pub(crate) fn send(&mut self, number: u64) {
        self.0.push_back((number, false));
    }

    /// Notes that the broker has spoken of one.
    pub(crate) fn hear(&mut self, number: u64) {
        if let Ok(place) = self.0.binary_search_by_key(&number, |(number, _)| *number)
            && let Some((_, is_heard)) = self.0.get_mut(place)
        {
            *is_heard = true;
        }
        while self.0.pop_front_if(|(_, is_heard)| *is_heard).is_some() {}
    }

    /// Those that it has not spoken of, the oldest first.
    pub(crate) fn unheard(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter(|(_, is_heard)| !is_heard).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_that_is_not_spoken_of_ends_the_room_whatever_is_said_of_later_ones() {
        let mut window = Window::default();
        for number in 0..LENGTH as u64 {
            assert!(window.has_room());
            window.send(2 * number);
            if number > 0 {
                window.hear(2 * number);
            }
        }
        assert!(!window.has_room() && window.is_overtaken());
        assert_eq!(window.unheard().collect::<Vec<_>>(), [0]);
        window.hear(0);
        assert!(window.has_room() && window.is_empty() && !window.is_overtaken());
    }

    proptest! {
        /// What is sent from the oldest unspoken one on, and no other, takes room.
        #[test]
        fn room_is_counted_from_the_oldest(heard in prop::collection::vec(0..300u64, 0..300)) {
            let mut window = Window::default();
            (0..LENGTH as u64).for_each(|number| window.send(number));
            heard.iter().for_each(|number| window.hear(*number));
            let unheard: Vec<u64> = (0..LENGTH as u64).filter(|number| !heard.contains(number)).collect();
            prop_assert_eq!(window.has_room(), unheard.first() != Some(&0));
            prop_assert_eq!(window.unheard().collect::<Vec<_>>(), unheard);
        }
    }
}
