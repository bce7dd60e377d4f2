//! Which queues a channel says no for, and whether a new channel was asked.
//!
//! Before it: [`super::outbox`] hears a nack on a lane. After it: the message goes alone, on a new channel; where that one
//! takes it, the lane gets a new channel too. For a nack may be the channel's and not the queue's: at its first message
//! for a quorum queue RabbitMQ notes for that channel where the queue's leader is, and where that node has just died it says
//! no for as long as the node is away, though the others have long had a new leader (`rabbit_fifo_client:enqueue`,
//! `{badrpc, nodedown}`). Pure: the time is given.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::transport::topology::Route;

/// How long what a new channel said counts: a queue that is full costs no channel for each message.
const ASKED_FOR: Duration = Duration::from_secs(1);

/// The most that is remembered. Callers name their queues: beyond that, all is forgotten and found again.
const MAX_REMEMBERED: usize = 1024;

/// What is remembered, by exchange and routing key.
#[derive(Debug, Default)]
pub(crate) struct Doubts(HashMap<(String, String), Doubt>);

#[derive(Debug)]
struct Doubt {
    /// Of the lane that said no.
    life: u64,
    /// When a new channel was asked.
    asked: Instant,
    /// What that one said: whether the queue is known to be full.
    is_full: bool,
}

impl Doubts {
    /// Notes that the channel of this life of a lane says no. `None` where a new one is to be asked; otherwise one was asked
    /// a moment ago, and whether the queue is full, as far as it has said.
    pub(crate) fn nacked(&mut self, route: &Route, life: u64, now: Instant) -> Option<bool> {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        let names = route.names();
        let asked = self.0.get(&names).filter(|doubt| doubt.life == life && now < doubt.asked + ASKED_FOR);
        if let Some(doubt) = asked {
            return Some(doubt.is_full);
        }
        self.0.insert(names, Doubt { life, asked: now, is_full: false });
        None
    }

    /// Notes that a new channel says no as well.
    pub(crate) fn refused(&mut self, route: &Route, is_full: bool) {
        if let Some(doubt) = self.0.get_mut(&route.names()) {
            doubt.is_full = is_full;
        }
    }

    /// Notes that a new channel takes what is for this route; gives the life of the lane that said no, where one did.
    pub(crate) fn taken(&mut self, route: &Route) -> Option<u64> {
        if self.0.is_empty() {
            return None;
        }
        self.0.remove(&route.names()).map(|doubt| doubt.life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(100);

    fn route(key: &str) -> Route {
        Route { exchange: None, key: key.to_owned() }
    }

    #[test]
    fn a_new_channel_is_asked_once_in_a_while() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        assert_eq!(doubts.nacked(&route("a"), 1, now), None);
        assert_eq!(doubts.nacked(&route("a"), 1, now + SOON), Some(false));
        doubts.refused(&route("a"), true);
        assert_eq!(doubts.nacked(&route("a"), 1, now + SOON), Some(true));
        assert_eq!(doubts.nacked(&route("b"), 1, now + SOON), None);
        assert_eq!(doubts.nacked(&route("a"), 1, now + ASKED_FOR), None);
        assert_eq!(doubts.nacked(&route("a"), 1, now + ASKED_FOR + SOON), Some(false));
    }

    #[test]
    fn the_next_channel_of_a_lane_is_doubted_anew() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        assert_eq!(doubts.taken(&route("a")), None);
        assert_eq!(doubts.nacked(&route("a"), 1, now), None);
        assert_eq!(doubts.nacked(&route("a"), 2, now + SOON), None);
        assert_eq!(doubts.taken(&route("a")), Some(2));
        assert_eq!(doubts.taken(&route("a")), None);
    }

    #[test]
    fn names_that_callers_choose_take_bounded_room() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        for n in 0..3 * MAX_REMEMBERED {
            doubts.nacked(&route(&n.to_string()), 1, now);
        }
        assert!(doubts.0.len() <= MAX_REMEMBERED);
    }
}
