//! One life of the publishing connection: the messages on their way.
//!
//! Before it: [`super::publisher`] submits messages and lets it advance. After it: [`super::flight`] brings them to the
//! broker, and each message's [`Job`] has an answer, whatever the broker does or leaves undone. Messages are pipelined:
//! none waits for the confirmation of another.

mod said;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    super::wire::{failure, link::Link},
    doubts::Doubts,
    exchanges::{Exchanges, Obstacle},
    flight::{self, Event},
    flights::{Flight, Flights},
    illness::{Bounds, Illness},
    lanes::{ALONE, ASIDE, Lanes},
    parcel::{Attempted, Job},
    underway::Underway,
    window::MAX_OF_ONE,
};
use crate::transport::{
    publication::{Company, Published},
    topology::Route,
};

/// How often it is looked whose time is over.
const LOOK: Duration = Duration::from_millis(250);

/// The most messages that have a channel of their own at once. RabbitMQ allows 2,047 channels for a connection.
const MAX_ALONE: usize = 64;

/// Bodies of so many bytes go alone until it is known what the broker takes: a broker that takes less closes the channel.
/// RabbitMQ 4's default for `max_message_size`.
const LARGE: usize = 16 << 20;

/// A publishing connection at work.
pub(crate) struct Outbox {
    link: Link,
    lanes: Lanes,
    exchanges: Exchanges,
    flights: Flights<Job>,
    illness: Illness,
    doubts: Doubts<Job>,
    /// Jobs that are to go alone.
    lonely: VecDeque<Job>,
    /// How many have a channel of their own.
    alone: usize,
    underway: Underway<Event>,
    look: Interval,
    was_blocked: bool,
    /// Whether the broker is being asked if it is there.
    is_asking: bool,
    /// The most bytes of a body that the broker takes, as far as it has said.
    max_size: Option<usize>,
}

impl Outbox {
    /// Begins with a new connection.
    pub(crate) fn new(link: Link) -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            link,
            lanes: Lanes::new(),
            exchanges: Exchanges::default(),
            flights: Flights::default(),
            illness: Illness::default(),
            doubts: Doubts::default(),
            lonely: VecDeque::new(),
            alone: 0,
            underway: Underway::default(),
            look,
            was_blocked: false,
            is_asking: false,
            max_size: None,
        }
    }

    /// `host:port`, for logs.
    pub(crate) fn broker(&self) -> &str {
        self.link.broker()
    }

    /// How many messages have no answer yet.
    pub(crate) fn unanswered(&self) -> usize {
        let waiting = self.lanes.waiting() + self.exchanges.waiting() + self.doubts.waiting();
        self.flights.len() + waiting + self.lonely.len()
    }

    /// Puts a message on its way. [`Outbox::advance`] sends it.
    pub(crate) fn submit(&mut self, job: Job) {
        if job.is_abandoned() {
            return;
        }
        let parcel = Arc::clone(&job.parcel);
        let bounds = Bounds { body: self.max_size, frame: self.link.frame_max() };
        if let Some(refusal) = self.illness.refusal_of(&parcel, &bounds, Instant::now()) {
            return job.answer(Attempted::Refused(refusal));
        }
        let (lane, name) = self.lane_of(&parcel.route);
        if let Some(exchange) = &parcel.route.exchange
            && !self.exchanges.is_declared(&exchange.name)
        {
            if self.exchanges.wait(&exchange.name, job) {
                self.underway.begin(flight::declaring(&self.link.connection, lane, exchange.clone()));
            }
            return;
        }
        let is_large = self.max_size.is_none() && parcel.publication.body.len() > LARGE;
        if is_large || parcel.publication.company == Company::Alone || self.illness.is_ill(&parcel.route) {
            self.lonely.push_back(job);
            return self.send_lonely();
        }
        if let Some(lane) = self.lanes.get(lane) {
            lane.wait(name, job);
        }
        self.fill(lane);
    }

    /// The lane for a route now, and the hash of its names.
    fn lane_of(&self, route: &Route) -> (usize, u64) {
        let (lane, name) = self.lanes.of(route);
        (if self.illness.is_slow(route) { ASIDE } else { lane }, name)
    }

    /// Sends what waits in a lane, as far as there is room.
    fn fill(&mut self, number: usize) {
        // lapin would keep it all.
        if self.link.events.is_blocked() {
            return;
        }
        let Some(lane) = self.lanes.get(number) else { return };
        if lane.channel.as_ref().is_some_and(|channel| !channel.status().connected()) {
            // What was on its way is yet to say why.
            lane.close();
        }
        let Some(lane) = self.lanes.get(number) else { return };
        let life = lane.life;
        let Some(channel) = lane.channel.clone() else {
            if lane.waiting() > 0 && !lane.is_opening {
                lane.is_opening = true;
                self.underway.begin(flight::opening(&self.link.connection, number, life));
            }
            return;
        };
        while lane.has_room()
            && let Some((name, job)) = lane.next(|name| self.flights.count_of(name) >= MAX_OF_ONE)
        {
            let parcel = Arc::clone(&job.parcel);
            let flight = self.flights.begin(job, number, name, Instant::now());
            lane.send(flight);
            self.underway.begin(flight::sending(&channel, parcel, number, life, flight));
        }
    }

    fn send_lonely(&mut self) {
        while self.alone < MAX_ALONE
            && !self.link.events.is_blocked()
            && let Some(job) = self.lonely.pop_front()
        {
            if job.is_abandoned() {
                continue;
            }
            self.alone += 1;
            let parcel = Arc::clone(&job.parcel);
            // Of those it does not matter how many are for one name.
            let number = self.flights.begin(job, ALONE, ALONE as u64, Instant::now());
            self.underway.begin(flight::sending_alone(&self.link.connection, parcel, number));
        }
    }

    /// Sends, and returns when something has happened: there may be room for more.
    ///
    /// # Errors
    ///
    /// That the connection is lost, and why.
    ///
    /// # Cancel safety
    ///
    /// Safe: everything between two waits is finished.
    pub(crate) async fn advance(&mut self) -> Result<(), String> {
        tokio::select! {
            error = self.link.events.end() => return Err(failure::text(&error)),
            event = self.underway.next() => {
                self.note(event);
                // A message may have been returned with another's confirmation; that one was resolved before, so it is
                // among these.
                while let Some(event) = self.underway.finished() {
                    self.note(event);
                }
                self.answer();
            }
            now = self.look.tick(), if self.unanswered() > 0 => {
                // lapin ends a connection by itself where the broker breaks the protocol, and calls that an error of a channel.
                if !self.link.connection.status().connected() {
                    return Err("the connection has ended".to_owned());
                }
                self.look(now);
            }
        }
        self.lanes.numbers().for_each(|lane| self.fill(lane));
        self.send_lonely();
        Ok(())
    }

    /// Closes the connection.
    pub(crate) async fn close(self, limit: Duration) {
        self.link.close(limit).await;
    }

    /// Ends the waiting of those whose time is over.
    fn look(&mut self, now: Instant) {
        // What was sent stays, also where nobody waits for it: the broker has it, and may be stuck with it.
        self.exchanges.sweep();
        self.lanes.sweep();
        self.lonely.retain(|job| !job.is_abandoned());
        again(self.doubts.overdue(now));
        let is_blocked = self.link.events.is_blocked();
        if std::mem::replace(&mut self.was_blocked, is_blocked) || is_blocked {
            // The broker reads nothing, and has said so: nobody is to blame.
            return self.flights.restart(now);
        }
        if self.flights.is_doubtful(now) && !std::mem::replace(&mut self.is_asking, true) {
            self.underway.begin(flight::asking(&self.link.connection, now));
        }
        let mut stuck = HashSet::new();
        for Flight { job, lane, since, .. } in self.flights.overdue(now) {
            if stuck.contains(&lane) && !self.illness.is_ill(&job.parcel.route) {
                // Behind one that has its lane stuck.
                job.answer(Attempted::Again);
                continue;
            }
            let route = &job.parcel.route;
            if lane == ALONE {
                // Who waits for what is said of it waits no longer than it.
                again(self.doubts.unanswered(route));
            }
            if self.illness.falls_ill(route) {
                let (exchange, key) = (route.exchange_name(), &route.key);
                tracing::warn!(
                    exchange,
                    key,
                    "RabbitMQ does not confirm what is sent there; it goes apart from now on"
                );
            }
            if lane != ALONE && self.flights.is_silent(lane, since) && stuck.insert(lane) {
                self.lose(lane);
            }
            job.answer(Attempted::Published(Published::Unconfirmed));
        }
        for number in self.lanes.numbers() {
            if let Some(lane) = self.lanes.get(number) {
                lane.leave_behind(|flight| self.flights.get(flight).is_none());
            }
            if number != ASIDE {
                self.set_aside(number, now);
            }
        }
    }

    /// Has the slow queues that hold a lane up share a channel of their own: the others go on with a new one.
    fn set_aside(&mut self, number: usize, now: Instant) {
        let Some(lane) = self.lanes.get(number) else { return };
        let held_up_by: Vec<_> = lane.held_up_by().into_iter().filter_map(|flight| self.flights.get(flight)).collect();
        let slow: Vec<_> = held_up_by.into_iter().filter(|flight| flight.is_slow(now)).collect();
        if slow.is_empty() || !lane.retire(lane.life) {
            return;
        }
        let names = slow.iter().map(|flight| flight.name).collect();
        let waiting = lane.take_for(&names);
        for Flight { job, .. } in slow {
            let route = &job.parcel.route;
            if self.illness.slows_down(route) {
                tracing::debug!(exchange = route.exchange_name(), key = route.key, "RabbitMQ confirms slowly here");
            }
        }
        if let Some(aside) = self.lanes.get(ASIDE) {
            waiting.into_iter().for_each(|(name, job)| aside.wait(name, job));
        }
    }

    /// Gives the channel of a lane up, with what is on its way there.
    fn lose(&mut self, number: usize) {
        self.exchanges.forget(number);
        if let Some(lane) = self.lanes.get(number) {
            lane.lose();
        }
        again(self.flights.take_lane(number).into_iter().map(|flight| flight.job));
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened(number, life, opened) => {
                let Some(lane) = self.lanes.get(number).filter(|lane| lane.life == life) else { return };
                lane.is_opening = false;
                match opened {
                    Ok(channel) => lane.channel = Some(channel),
                    Err(error) => {
                        tracing::debug!(reason = failure::text(&error), "no channel to publish on");
                        lane.take_waiting().into_iter().for_each(|job| job.answer(Attempted::Again));
                    }
                }
            }
            Event::Declared(lane, name, declared) => {
                let jobs = self.exchanges.note(&name, lane, declared.is_ok());
                match declared {
                    Ok(()) => jobs.into_iter().for_each(|job| self.submit(job)),
                    Err(Obstacle::Refused(refusal)) => {
                        jobs.into_iter().for_each(|job| job.answer(Attempted::Refused(refusal.clone())));
                        self.illness.refuses(&name, refusal, Instant::now());
                    }
                    Err(Obstacle::Lost(error)) => {
                        tracing::debug!(name, reason = failure::text(&error), "an exchange could not be declared");
                        jobs.into_iter().for_each(|job| job.answer(Attempted::Again));
                    }
                }
            }
            Event::Answered(asked, is_answered) => {
                self.is_asking = false;
                if is_answered {
                    self.flights.answered(asked);
                }
            }
            Event::Said(lane, life, number, said) => self.note_said(lane, life, number, said),
            Event::SaidAlone(number, said) => {
                self.alone = self.alone.saturating_sub(1);
                match said {
                    Some(Ok(published)) => self.confirm(number, published),
                    None => {
                        let silent = match self.link.events.is_blocked() {
                            true => Attempted::Again,
                            false => Attempted::Published(Published::Unconfirmed),
                        };
                        if let Some(Flight { job, .. }) = self.flights.fail(number) {
                            again(self.doubts.unanswered(&job.parcel.route));
                            job.answer(silent);
                        }
                    }
                    Some(Err(error)) => self.fail(number, &error),
                }
            }
        }
    }
}

/// Has these sent again.
fn again(jobs: impl IntoIterator<Item = Job>) {
    jobs.into_iter().for_each(|job| job.answer(Attempted::Again));
}
