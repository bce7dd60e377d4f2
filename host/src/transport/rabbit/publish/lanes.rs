//! The channels of a publishing connection.
//!
//! Before it: [`super::outbox`] has a message. After it: [`super::flight`] sends it on the channel given. The broker
//! closes a channel for a mistake, forgets its unconfirmed messages, and stops reading from it while one of its queues
//! is stuck. So there are several, and the name of a queue or an exchange chooses: what goes wrong with one is the
//! business of a part of the others.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
};

use lapin::Channel;

use super::{
    parcel::{Attempted, Job},
    returned::Returns,
    window::Window,
};
use crate::transport::topology::Route;

/// Channels for queues by name, by way of the default exchange, and as many for exchanges, which may have gone.
const EACH: usize = 4;

/// The lane of what is for slow queues.
pub(crate) const ASIDE: usize = 2 * EACH;

/// The lane of messages that have a channel of their own.
pub(crate) const ALONE: usize = ASIDE + 1;

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
    /// Jobs without a place among the unconfirmed, and the hash of the name that each goes to. As many as there are callers who
    /// wait.
    waiting: VecDeque<(u64, Job)>,
    /// Those before them whose name has all the places that one may have, in their order.
    held: HashMap<u64, VecDeque<Job>>,
    /// Which of its confirmed messages were returned.
    pub(crate) ledger: Returns<Job>,
    /// What was sent in this life and may hold it up.
    window: Window,
}

/// A channel that nothing more is sent on.
#[derive(Debug)]
struct Retired {
    /// Open for as long as this is here.
    _channel: Channel,
    life: u64,
    window: Window,
    ledger: Returns<Job>,
}

impl Lanes {
    /// Makes the lanes; no channel is open yet.
    pub(crate) fn new() -> Self {
        Self { all: (0..=ASIDE).map(|_| Lane::default()).collect(), hasher: RandomState::new() }
    }

    /// The lane for a route, and the hash of its names, by which its places are counted: an exchange leads to many queues, of
    /// which one may be ill.
    pub(crate) fn of(&self, route: &Route) -> (usize, u64) {
        let (first, name) = match &route.exchange {
            None => (0, &route.key),
            Some(exchange) => (EACH, &exchange.name),
        };
        let lane = usize::try_from(self.hasher.hash_one(name) % EACH as u64).unwrap_or_default();
        (first + lane, self.hasher.hash_one((name, &route.key)))
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
        self.all.iter_mut().for_each(Lane::sweep);
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.all.iter().map(Lane::waiting).sum()
    }

    /// Says of each confirmed message whether it was returned. To be called when all that the broker has sent before is
    /// noted.
    pub(crate) fn settle(&mut self) -> Vec<(Job, bool)> {
        let is_same = |job: &Job, returned: &_| job.parcel.is(returned);
        let mut settled = Vec::new();
        for lane in &mut self.all {
            settled.extend(lane.ledger.settle(is_same));
            lane.retired.iter_mut().for_each(|retired| settled.extend(retired.ledger.settle(is_same)));
            lane.retired.retain(|retired| !retired.window.is_empty());
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
        self.window = Window::default();
        send_again(std::mem::take(&mut self.ledger));
    }

    /// Gives all of its channels up.
    pub(crate) fn lose(&mut self) {
        self.close();
        self.retired.drain(..).for_each(|retired| send_again(retired.ledger));
    }

    /// Whether one more message may be sent in this life.
    pub(crate) fn has_room(&self) -> bool {
        self.window.has_room()
    }

    /// Notes that the message with this number is sent in this life.
    pub(crate) fn send(&mut self, number: u64) {
        self.window.send(number);
    }

    /// The messages that hold this life up, where others wait, there is no room for them, and the broker has spoken of later ones;
    /// not where as many channels as may be are kept for earlier ones.
    pub(crate) fn held_up_by(&self) -> Vec<u64> {
        let is_held = self.waiting() > 0 && !self.has_room() && self.window.is_overtaken();
        if !is_held || self.retired.len() >= MAX_RETIRED {
            return Vec::new();
        }
        self.window.unheard().collect()
    }

    /// Gives channels up that only what `is_judged` still holds up: the broker may never speak of it.
    pub(crate) fn leave_behind(&mut self, is_judged: impl Fn(u64) -> bool) {
        self.retired.retain(|retired| retired.window.unheard().any(|number| !is_judged(number)));
        if self.window.unheard().next().is_some_and(is_judged) {
            self.retire(self.life);
        }
    }

    /// Sends nothing more on the channel that there is in this life, and waits for what is on its way there. Whether that
    /// was so; nothing is done in a later life.
    pub(crate) fn retire(&mut self, life: u64) -> bool {
        let Some(channel) = self.channel.take_if(|_| self.life == life) else { return false };
        let ledger = std::mem::take(&mut self.ledger);
        let window = std::mem::take(&mut self.window);
        self.retired.push_back(Retired { _channel: channel, life, window, ledger });
        self.life += 1;
        if self.retired.len() > MAX_RETIRED
            && let Some(oldest) = self.retired.pop_front()
        {
            send_again(oldest.ledger);
        }
        true
    }

    /// Where it is noted what the broker says of this message of this life; `None` where the channel is gone.
    pub(crate) fn hear(&mut self, life: u64, number: u64) -> Option<&mut Returns<Job>> {
        if life == self.life {
            self.window.hear(number);
            return Some(&mut self.ledger);
        }
        let retired = self.retired.iter_mut().find(|retired| retired.life == life)?;
        retired.window.hear(number);
        Some(&mut retired.ledger)
    }

    /// Has a job wait for a place.
    pub(crate) fn wait(&mut self, name: u64, job: Job) {
        self.waiting.push_back((name, job));
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() + self.held.values().map(VecDeque::len).sum::<usize>()
    }

    /// Takes out what waits for these names, in its order.
    pub(crate) fn take_for(&mut self, names: &HashSet<u64>) -> Vec<(u64, Job)> {
        let held = names.iter().filter_map(|name| Some((*name, self.held.remove(name)?)));
        let held = held.flat_map(|(name, jobs)| jobs.into_iter().map(move |job| (name, job)));
        let mut taken: Vec<(u64, Job)> = held.collect();
        let (of_these, others) = self.waiting.drain(..).partition(|(name, _)| names.contains(name));
        self.waiting = others;
        let of_these: VecDeque<(u64, Job)> = of_these;
        taken.extend(of_these);
        taken
    }

    /// Takes all out that wait.
    pub(crate) fn take_waiting(&mut self) -> Vec<Job> {
        let held = self.held.drain().flat_map(|(_, jobs)| jobs);
        held.chain(self.waiting.drain(..).map(|(_, job)| job)).collect()
    }

    /// Lets go of the jobs that have been given up.
    fn sweep(&mut self) {
        self.waiting.retain(|(_, job)| !job.is_abandoned());
        self.held.retain(|_, jobs| {
            jobs.retain(|job| !job.is_abandoned());
            !jobs.is_empty()
        });
    }

    /// The next job that somebody waits for and whose name has room, with the hash of that. Jobs for one name keep their order.
    pub(crate) fn next(&mut self, is_full: impl Fn(u64) -> bool) -> Option<(u64, Job)> {
        // As many names as have all of their places: two.
        let freed = self.held.keys().copied().find(|name| !is_full(*name));
        if let Some(name) = freed
            && let Some(jobs) = self.held.get_mut(&name)
        {
            let next = std::iter::from_fn(|| jobs.pop_front()).find(|job| !job.is_abandoned());
            if jobs.is_empty() {
                self.held.remove(&name);
            }
            return match next {
                Some(job) => Some((name, job)),
                None => self.next(is_full),
            };
        }
        while let Some((name, job)) = self.waiting.pop_front() {
            if job.is_abandoned() {
                continue;
            }
            if !is_full(name) {
                return Some((name, job));
            }
            self.held.entry(name).or_default().push_back(job);
        }
        None
    }
}

/// Whether these were returned is not known any more.
fn send_again(ledger: Returns<Job>) {
    ledger.into_confirmed().into_iter().for_each(|job| job.answer(Attempted::Again));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::{super::parcel::Parcel, *};
    use crate::transport::{
        destination::Destination,
        publication::{Publication, Routing},
        topology::{Exchange, ExchangeKind},
    };

    #[test]
    fn names_spread_over_lanes_and_stay_in_theirs() {
        let lanes = Lanes::new();
        let reply = |key: String| Route { exchange: None, key };
        let topic = |name: String| {
            let exchange = Exchange { name, kind: ExchangeKind::Topic, durable: false, auto_delete: false };
            Route { exchange: Some(exchange), key: "same".to_owned() }
        };
        let used = |route: &dyn Fn(String) -> Route| {
            let mut used: Vec<usize> = (0..200).map(|n| lanes.of(&route(n.to_string())).0).collect();
            used.sort_unstable();
            used.dedup();
            used
        };
        assert_eq!(used(&reply), [0, 1, 2, 3]);
        assert_eq!(used(&topic), [4, 5, 6, 7]);
        assert_eq!(lanes.of(&reply("a".to_owned())), lanes.of(&reply("a".to_owned())));
        // An exchange has one lane, and each key its own places.
        let other = Route { key: "other".to_owned(), ..topic("a".to_owned()) };
        let (one, another) = (lanes.of(&topic("a".to_owned())), lanes.of(&other));
        assert!(one.0 == another.0 && one.1 != another.1);
    }

    /// A job with its number for a body, and who waits for it.
    async fn job(number: usize) -> (Job, oneshot::Receiver<Attempted>) {
        let to = Destination::Queue("reply".to_owned());
        let publication = Publication::new(to, Routing::Mandatory, number.to_string());
        let route = Route { exchange: None, key: "reply".to_owned() };
        Job::new(Arc::new(Parcel::pack(publication, route, None, 131_072).await))
    }

    fn body(job: &Job) -> String {
        String::from_utf8(job.parcel.publication.body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_name_that_has_all_of_its_places_holds_up_no_other_and_keeps_its_order() {
        let (mut lane, mut callers) = (Lane::default(), Vec::new());
        for (number, name) in [7, 7, 8, 7, 8].into_iter().enumerate() {
            let (job, caller) = job(number).await;
            lane.wait(name, job);
            callers.push(caller);
        }
        let mut next = |full: Option<u64>| lane.next(|name| Some(name) == full).map(|(_, job)| body(&job));
        assert_eq!(next(Some(7)).as_deref(), Some("2"));
        assert_eq!(next(Some(7)).as_deref(), Some("4"));
        assert_eq!(next(Some(7)), None);
        callers.remove(1);
        assert_eq!(next(None).as_deref(), Some("0"));
        assert_eq!(next(Some(7)), None);
        assert_eq!(lane.waiting(), 2);
        lane.sweep();
        assert_eq!(lane.waiting(), 1, "one was given up");
        let mut next = |full: Option<u64>| lane.next(|name| Some(name) == full).map(|(_, job)| body(&job));
        assert_eq!(next(None).as_deref(), Some("3"));
        assert_eq!((next(None), lane.held.len()), (None, 0));
    }
}
