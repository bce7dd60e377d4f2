//! Which queues a channel says no for, and what a new channel said of them.
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

/// How long a new channel is waited for. It has an answer before, or its message has been given up.
const OPEN_FOR: Duration = Duration::from_secs(15);

/// The most that is remembered. Callers name their queues: beyond that, all is forgotten and found again.
const MAX_REMEMBERED: usize = 1024;

/// What is remembered, by exchange and routing key, and what waits for an answer meanwhile.
#[derive(Debug)]
pub(crate) struct Doubts<J>(HashMap<(String, String), Doubt<J>>);

#[derive(Debug)]
struct Doubt<J> {
    /// Of the lane that said no.
    life: u64,
    /// When a new channel was asked, and then when it answered.
    since: Instant,
    said: Said<J>,
}

/// What a new channel said.
#[derive(Debug)]
enum Said<J> {
    /// Nothing yet. What the lane has refused meanwhile waits for it.
    Nothing(Vec<J>),
    /// No as well; whether the queue is known to be full.
    No(bool),
    /// Yes.
    Yes,
}

/// What is to be done with a message that a lane refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<J> {
    /// Ask a new channel.
    Ask(J),
    /// It waits for what a new channel says.
    Wait,
    /// Send it once more: the lane has another channel by now.
    Again(J),
    /// The queue refuses it; whether it is known to be full.
    Refused(J, bool),
}

impl<J> Default for Doubts<J> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<J> Doubts<J> {
    /// Takes a message that the channel of this life of a lane refuses.
    pub(crate) fn nacked(&mut self, route: &Route, life: u64, job: J, now: Instant) -> Next<J> {
        if self.0.len() >= MAX_REMEMBERED {
            // What waits here is sent again: nobody answers for it any more.
            self.0.clear();
        }
        let names = route.names();
        if let Some(doubt) = self.0.get_mut(&names) {
            let is_recent = now < doubt.since + ASKED_FOR;
            match &mut doubt.said {
                Said::Nothing(waiting) => {
                    waiting.push(job);
                    return Next::Wait;
                }
                Said::No(is_full) if is_recent => return Next::Refused(job, *is_full),
                // What was on its way on the old channel. A new one that says no a moment later speaks for the queue.
                Said::Yes if is_recent && life <= doubt.life => return Next::Again(job),
                Said::Yes if is_recent => return Next::Refused(job, false),
                Said::No(_) | Said::Yes => {}
            }
        }
        self.0.insert(names, Doubt { life, since: now, said: Said::Nothing(Vec::new()) });
        Next::Ask(job)
    }

    /// Notes that a new channel says no as well; gives what has waited for that.
    pub(crate) fn refused(&mut self, route: &Route, is_full: bool, now: Instant) -> Vec<J> {
        self.say(route, Said::No(is_full), now).map(|(_, waiting)| waiting).unwrap_or_default()
    }

    /// Notes that a new channel takes what is for this route. Gives the life of the lane whose channel is not to be used any
    /// more, unless the queue was full and has room now, and what has waited.
    pub(crate) fn taken(&mut self, route: &Route, now: Instant) -> (Option<u64>, Vec<J>) {
        match self.0.get(&route.names()).map(|doubt| &doubt.said) {
            Some(Said::Nothing(_) | Said::No(false)) => {}
            Some(Said::No(true) | Said::Yes) | None => return (None, Vec::new()),
        }
        self.say(route, Said::Yes, now).map(|(life, waiting)| (Some(life), waiting)).unwrap_or_default()
    }

    /// Forgets that a new channel is asked: it says nothing. Gives what has waited.
    pub(crate) fn unanswered(&mut self, route: &Route) -> Vec<J> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.remove(&route.names()).map(|doubt| doubt.said.into_waiting()).unwrap_or_default()
    }

    /// Gives what has waited for too long: whoever had asked has given up.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<J> {
        let is_over = |doubt: &Doubt<J>| matches!(doubt.said, Said::Nothing(_)) && now >= doubt.since + OPEN_FOR;
        self.0.extract_if(|_, doubt| is_over(doubt)).flat_map(|(_, doubt)| doubt.said.into_waiting()).collect()
    }

    /// How many messages wait.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |doubt: &Doubt<J>| if let Said::Nothing(waiting) = &doubt.said { waiting.len() } else { 0 };
        self.0.values().map(waiting).sum()
    }

    fn say(&mut self, route: &Route, said: Said<J>, now: Instant) -> Option<(u64, Vec<J>)> {
        let doubt = self.0.get_mut(&route.names())?;
        doubt.since = now;
        Some((doubt.life, std::mem::replace(&mut doubt.said, said).into_waiting()))
    }
}

impl<J> Said<J> {
    fn into_waiting(self) -> Vec<J> {
        match self {
            Self::Nothing(waiting) => waiting,
            Self::No(_) | Self::Yes => Vec::new(),
        }
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
    fn what_is_refused_waits_until_a_new_channel_has_said_no_as_well() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        let a = route("a");
        assert_eq!(doubts.nacked(&a, 1, 1, now), Next::Ask(1));
        assert_eq!(doubts.nacked(&a, 1, 2, now + SOON), Next::Wait);
        assert_eq!(doubts.nacked(&a, 2, 3, now + SOON), Next::Wait);
        assert_eq!(doubts.nacked(&route("b"), 1, 4, now + SOON), Next::Ask(4));
        assert_eq!(doubts.waiting(), 2);
        assert_eq!(doubts.refused(&a, true, now + ASKED_FOR), [2, 3]);
        assert_eq!(doubts.nacked(&a, 1, 5, now + ASKED_FOR + SOON), Next::Refused(5, true));
        assert_eq!(doubts.nacked(&a, 1, 6, now + ASKED_FOR + ASKED_FOR), Next::Ask(6));
    }

    #[test]
    fn where_a_new_channel_says_yes_the_lane_gets_another_and_once_only() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        let a = route("a");
        assert_eq!(doubts.taken(&a, now), (None, vec![]));
        assert_eq!(doubts.nacked(&a, 1, 1, now), Next::Ask(1));
        assert_eq!(doubts.nacked(&a, 1, 2, now), Next::Wait);
        assert_eq!(doubts.taken(&a, now + SOON), (Some(1), vec![2]));
        assert_eq!(doubts.taken(&a, now + SOON), (None, vec![]));
        assert_eq!(doubts.nacked(&a, 1, 3, now + SOON), Next::Again(3));
        assert_eq!(doubts.nacked(&a, 2, 4, now + SOON), Next::Refused(4, false));
        assert_eq!(doubts.nacked(&a, 2, 5, now + SOON + ASKED_FOR), Next::Ask(5));
    }

    #[test]
    fn a_queue_that_was_full_and_has_room_says_nothing_of_the_channel() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        doubts.nacked(&route("a"), 1, (), now);
        doubts.refused(&route("a"), true, now);
        assert_eq!(doubts.taken(&route("a"), now), (None, vec![]));
        doubts.nacked(&route("b"), 1, (), now);
        doubts.refused(&route("b"), false, now);
        assert_eq!(doubts.taken(&route("b"), now), (Some(1), vec![]));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_new_channel() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        for number in [1, 2] {
            doubts.nacked(&route("a"), 1, number, now);
            doubts.nacked(&route("b"), 1, number, now);
        }
        assert_eq!(doubts.unanswered(&route("a")), [2]);
        assert!(doubts.overdue(now + OPEN_FOR - SOON).is_empty());
        assert_eq!(doubts.overdue(now + OPEN_FOR), [2]);
        assert_eq!((doubts.waiting(), doubts.0.len()), (0, 0));
    }

    #[test]
    fn names_that_callers_choose_take_bounded_room() {
        let (mut doubts, now) = (Doubts::default(), Instant::now());
        for n in 0..3 * MAX_REMEMBERED {
            doubts.nacked(&route(&n.to_string()), 1, (), now);
        }
        assert!(doubts.0.len() <= MAX_REMEMBERED);
    }
}
