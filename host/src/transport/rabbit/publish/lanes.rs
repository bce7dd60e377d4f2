//! The channels of a publishing connection.
//!
//! Before it: [`super::outbox`] has a message. After it: [`super::flight`] sends it on the channel given. The broker
//! closes a channel for a mistake, forgets its unconfirmed messages, and stops reading from it while one of its queues
//! is stuck. So there are several, and the name of a queue or an exchange chooses: what goes wrong with one is the
//! business of a part of the others.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
};

use lapin::Channel;

use super::{
    parcel::{Attempted, Job},
    returned::Returns,
};
use crate::transport::topology::Route;

/// Channels for queues by name, by way of the default exchange, and as many for exchanges, which may have gone.
const EACH: usize = 4;

/// The lane of messages that have a channel of their own.
pub(crate) const ALONE: usize = 2 * EACH;

/// How many messages of a lane may be unconfirmed at once. Below the 400 that a channel of RabbitMQ may owe its
/// connection before that is not read from any more (its `credit_flow_default_credit`).
pub(crate) const MAX_UNCONFIRMED: usize = 256;

/// The most channels of a lane that are kept for what is on its way there. What is on an older one is sent again.
const MAX_RETIRED: usize = 2;

/// The lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    all: Vec<Lane>,
    // Others choose the names: they must not be able to choose a lane.
    hasher: RandomState,
}

/// One channel over time, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Channels that nothing more is sent on, for what is on its way there.
    retired: VecDeque<Retired>,
    /// The channel, where it is open.
    pub(crate) channel: Option<Channel>,
    /// Whether it is being opened.
    pub(crate) is_opening: bool,
    /// Counts the channels that there were: what is said of an earlier one does not matter any more.
    pub(crate) life: u64,
    /// Jobs without a place among the unconfirmed. As many as there are callers who wait.
    pub(crate) waiting: VecDeque<Job>,
    /// Which of its confirmed messages were returned.
    pub(crate) ledger: Returns<Job>,
    /// How many messages the broker has yet to speak of in this life.
    unconfirmed: usize,
}

/// A channel that nothing more is sent on.
#[derive(Debug)]
struct Retired {
    /// Open for as long as this is here.
    _channel: Channel,
    life: u64,
    /// How many messages the broker has yet to speak of.
    unconfirmed: usize,
    ledger: Returns<Job>,
}

impl Lanes {
    /// Makes the lanes; no channel is open yet.
    pub(crate) fn new() -> Self {
        Self { all: (0..2 * EACH).map(|_| Lane::default()).collect(), hasher: RandomState::new() }
    }

    /// The lane for a route.
    pub(crate) fn of(&self, route: &Route) -> usize {
        let by = |name: &str| usize::try_from(self.hasher.hash_one(name) % EACH as u64).unwrap_or_default();
        match &route.exchange {
            None => by(&route.key),
            Some(exchange) => EACH + by(&exchange.name),
        }
    }

    /// A lane by its number.
    pub(crate) fn get(&mut self, number: usize) -> Option<&mut Lane> {
        self.all.get_mut(number)
    }

    /// The numbers of all lanes.
    pub(crate) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.all.len()
    }

    /// Lets go of the jobs that have been given up.
    pub(crate) fn sweep(&mut self) {
        self.all.iter_mut().for_each(|lane| lane.waiting.retain(|job| !job.is_abandoned()));
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.all.iter().map(|lane| lane.waiting.len()).sum()
    }

    /// Says of each confirmed message whether it was returned. To be called when all that the broker has sent before is
    /// noted.
    pub(crate) fn settle(&mut self) -> Vec<(Job, bool)> {
        let is_same = |job: &Job, returned: &_| job.parcel.is(returned);
        let mut settled = Vec::new();
        for lane in &mut self.all {
            settled.extend(lane.ledger.settle(is_same));
            lane.retired.iter_mut().for_each(|retired| settled.extend(retired.ledger.settle(is_same)));
            lane.retired.retain(|retired| retired.unconfirmed > 0);
        }
        settled
    }
}

impl Lane {
    /// Gives the channel up. What waits for it waits for the next one.
    pub(crate) fn close(&mut self) {
        // Dropped, lapin closes it.
        self.channel = None;
        self.is_opening = false;
        self.life += 1;
        self.unconfirmed = 0;
        send_again(std::mem::take(&mut self.ledger));
    }

    /// Gives all of its channels up.
    pub(crate) fn lose(&mut self) {
        self.close();
        self.retired.drain(..).for_each(|retired| send_again(retired.ledger));
    }

    /// Notes that a message is sent in this life.
    pub(crate) fn send(&mut self) {
        self.unconfirmed += 1;
    }

    /// Sends nothing more on the channel that there is in this life, and waits for what is on its way there. Whether that
    /// was so; nothing is done in a later life.
    pub(crate) fn retire(&mut self, life: u64) -> bool {
        let Some(channel) = self.channel.take_if(|_| self.life == life) else { return false };
        let ledger = std::mem::take(&mut self.ledger);
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        self.retired.push_back(Retired { _channel: channel, life, unconfirmed, ledger });
        self.life += 1;
        if self.retired.len() > MAX_RETIRED
            && let Some(oldest) = self.retired.pop_front()
        {
            send_again(oldest.ledger);
        }
        true
    }

    /// Where it is noted what the broker says of a message of this life; `None` where the channel is gone.
    pub(crate) fn hear(&mut self, life: u64) -> Option<&mut Returns<Job>> {
        if life == self.life {
            self.unconfirmed = self.unconfirmed.saturating_sub(1);
            return Some(&mut self.ledger);
        }
        let retired = self.retired.iter_mut().find(|retired| retired.life == life)?;
        retired.unconfirmed = retired.unconfirmed.saturating_sub(1);
        Some(&mut retired.ledger)
    }

    /// The next job that somebody waits for.
    pub(crate) fn next(&mut self) -> Option<Job> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|job| !job.is_abandoned())
    }
}

/// Whether these were returned is not known any more.
fn send_again(ledger: Returns<Job>) {
    ledger.into_confirmed().into_iter().for_each(|job| job.answer(Attempted::Again));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::topology::{Exchange, ExchangeKind};

    #[test]
    fn names_spread_over_lanes_and_stay_in_theirs() {
        let lanes = Lanes::new();
        let reply = |key: String| Route { exchange: None, key };
        let topic = |name: String| {
            let exchange = Exchange { name, kind: ExchangeKind::Topic, durable: false, auto_delete: false };
            Route { exchange: Some(exchange), key: "same".to_owned() }
        };
        let used = |route: &dyn Fn(String) -> Route| {
            let mut used: Vec<usize> = (0..200).map(|n| lanes.of(&route(n.to_string()))).collect();
            used.sort_unstable();
            used.dedup();
            used
        };
        assert_eq!(used(&reply), [0, 1, 2, 3]);
        assert_eq!(used(&topic), [4, 5, 6, 7]);
        assert_eq!(lanes.of(&reply("a".to_owned())), lanes.of(&reply("a".to_owned())));
    }
}
