//! What is remembered of queues that do not confirm, or only slowly, and of exchanges that refuse.
//!
//! Before it: [`super::outbox`] has waited in vain, or has lost a channel. After it: what goes to an ill queue goes alone,
//! so that it holds up nobody, what goes to a slow one shares a channel with its like, and what goes to a forbidden exchange is refused without losing the next channel. Pure:
//! the time is given.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::wire::size,
    parcel::{Parcel, Refusal},
};
use crate::transport::topology::Route;

/// How long a refusal counts. An operator who gives a permission need not wait long, and a channel that is lost this
/// seldom costs the others little.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// The most that is remembered of each kind. Callers name their queues: beyond that, all is forgotten and found again.
const MAX_REMEMBERED: usize = 1024;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Illness {
    queues: HashSet<(String, String)>,
    slow: HashSet<(String, String)>,
    exchanges: HashMap<String, (Refusal, Instant)>,
}

/// The largest things that the broker takes, in bytes.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// A body, as far as it has said.
    pub(crate) body: Option<usize>,
    /// A frame, all of it.
    pub(crate) frame: usize,
}

impl Illness {
    /// Whether messages for this route go unconfirmed.
    pub(crate) fn is_ill(&self, route: &Route) -> bool {
        // Mostly there is none: no copy of a name for each message.
        !self.queues.is_empty() && self.queues.contains(&route.names())
    }

    /// Notes that a message for this route was not confirmed in time; whether that is news.
    pub(crate) fn falls_ill(&mut self, route: &Route) -> bool {
        if self.queues.len() >= MAX_REMEMBERED {
            self.queues.clear();
        }
        self.queues.insert(route.names())
    }

    /// Whether messages for this route held others up, and the broker has spoken of none since.
    pub(crate) fn is_slow(&self, route: &Route) -> bool {
        !self.slow.is_empty() && self.slow.contains(&route.names())
    }

    /// Notes that a message for this route holds others up; whether that is news.
    pub(crate) fn slows_down(&mut self, route: &Route) -> bool {
        if self.slow.len() >= MAX_REMEMBERED {
            self.slow.clear();
        }
        self.slow.insert(route.names())
    }

    /// Notes that the broker has answered to a message for this route; whether it was ill.
    pub(crate) fn recovers(&mut self, route: &Route) -> bool {
        if !self.slow.is_empty() {
            self.slow.remove(&route.names());
        }
        !self.queues.is_empty() && self.queues.remove(&route.names())
    }

    /// Why a message is not even sent: the broker has refused its like, or would end the connection for it.
    pub(crate) fn refusal_of(&self, parcel: &Parcel, bounds: &Bounds, now: Instant) -> Option<Refusal> {
        if let Some(limit) = bounds.body
            && parcel.publication.body.len() > limit
        {
            return Some(Refusal::TooLarge { limit });
        }
        let length = size::header_frame(&parcel.properties);
        if length > bounds.frame {
            let text = format!("its headers take {length} bytes, and a frame has {} (frame_max)", bounds.frame);
            return Some(Refusal::Other(text));
        }
        self.refusal(parcel.route.exchange_name(), now)
    }

    /// Why messages for an exchange are refused for now.
    fn refusal(&self, exchange: &str, now: Instant) -> Option<Refusal> {
        let (refusal, since) = self.exchanges.get(exchange)?;
        (now < *since + REFUSED_FOR).then(|| refusal.clone())
    }

    /// Notes that the broker refuses all messages for an exchange.
    pub(crate) fn refuses(&mut self, exchange: &str, refusal: Refusal, now: Instant) {
        if self.exchanges.len() >= MAX_REMEMBERED {
            self.exchanges.clear();
        }
        self.exchanges.insert(exchange.to_owned(), (refusal, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(key: &str) -> Route {
        Route { exchange: None, key: key.to_owned() }
    }

    #[test]
    fn a_queue_is_ill_until_it_answers_and_only_the_changes_are_news() {
        let mut illness = Illness::default();
        assert!(illness.falls_ill(&route("a")) && !illness.falls_ill(&route("a")));
        assert!(illness.is_ill(&route("a")) && !illness.is_ill(&route("b")));
        assert!(illness.recovers(&route("a")) && !illness.recovers(&route("a")));
        assert!(!illness.is_ill(&route("a")));
    }

    #[test]
    fn a_queue_is_slow_until_it_answers() {
        let mut illness = Illness::default();
        assert!(illness.slows_down(&route("a")) && !illness.slows_down(&route("a")));
        assert!(illness.is_slow(&route("a")) && !illness.is_slow(&route("b")) && !illness.is_ill(&route("a")));
        assert!(!illness.recovers(&route("a")), "it was not ill");
        assert!(!illness.is_slow(&route("a")));
    }

    #[test]
    fn a_refusal_counts_for_a_while() {
        let (mut illness, now) = (Illness::default(), Instant::now());
        let refusal = Refusal::Other("no".to_owned());
        illness.refuses("x", refusal.clone(), now);
        assert_eq!(illness.refusal("x", now), Some(refusal));
        assert_eq!(illness.refusal("y", now), None);
        assert_eq!(illness.refusal("x", now + REFUSED_FOR), None);
    }

    #[test]
    fn names_that_callers_choose_take_bounded_room() {
        let (mut illness, now) = (Illness::default(), Instant::now());
        for n in 0..3 * MAX_REMEMBERED {
            illness.falls_ill(&route(&n.to_string()));
            illness.slows_down(&route(&n.to_string()));
            illness.refuses(&n.to_string(), Refusal::TooLarge { limit: 1 }, now);
        }
        assert!(illness.queues.len() <= MAX_REMEMBERED && illness.slow.len() <= MAX_REMEMBERED);
        assert!(illness.exchanges.len() <= MAX_REMEMBERED);
    }
}
