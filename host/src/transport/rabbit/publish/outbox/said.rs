//! What the broker says of messages that are on their way.
//!
//! Before it: [`super::Outbox`] hears it. After it: the answer of each message's [`Job`], and what is remembered of lanes, queues
//! and exchanges.

use std::sync::Arc;

use lapin::Confirmation;
use tokio::time::Instant;

use super::{
    super::{
        super::wire::failure,
        blame::blame,
        doubts::Next,
        flights::Flight,
        lanes::ALONE,
        parcel::{Attempted, Job, Refusal},
    },
    Outbox, again,
};
use crate::transport::{
    publication::{Published, Routing},
    topology::ExchangeKind,
};

impl Outbox {
    pub(super) fn note_said(&mut self, number: usize, life: u64, flight: u64, said: lapin::Result<Confirmation>) {
        let ledger = self.lanes.get(number).and_then(|lane| lane.hear(life, flight));
        let (returned, is_taken) = match said {
            Ok(Confirmation::Ack(returned)) => (returned, true),
            Ok(Confirmation::Nack(returned)) => (returned, false),
            // Never on a channel that confirms.
            Ok(Confirmation::NotRequested) => (None, false),
            Err(error) => return self.fail(flight, &error),
        };
        let Some(ledger) = ledger else {
            // Of a channel that is gone: whether it was returned is not known any more.
            if let Some(flight) = self.flights.fail(flight) {
                flight.job.answer(Attempted::Again);
            }
            return;
        };
        if let Some(returned) = returned {
            ledger.add_returned(returned.into());
        }
        let Some(Flight { job, .. }) = self.flights.confirm(flight) else { return };
        if !is_taken {
            let parcel = Arc::clone(&job.parcel);
            return match self.doubts.nacked(&parcel.route, life, job, Instant::now()) {
                Next::Ask(job) => self.lonely.push_back(job),
                Next::Wait => {}
                Next::Again(job) => self.submit(job),
                Next::Refused(job, is_full) => self.answered(job, Published::Nacked { is_full }),
            };
        }
        match job.parcel.publication.routing {
            Routing::Mandatory => ledger.add_confirmed(job),
            Routing::BestEffort => self.answered(job, Published::Confirmed),
        }
    }

    /// Notes what the broker says of a message that went alone.
    pub(super) fn confirm(&mut self, number: u64, published: Published) {
        let Some(Flight { job, .. }) = self.flights.confirm(number) else { return };
        let (route, now) = (&job.parcel.route, Instant::now());
        match published {
            Published::Nacked { is_full } => {
                for job in self.doubts.refused(route, is_full, now) {
                    self.answered(job, published);
                }
            }
            Published::Confirmed => {
                let (life, waiting) = self.doubts.taken(route, now);
                let (lane, _) = self.lane_of(route);
                if life.is_some_and(|life| self.lanes.get(lane).is_some_and(|lane| lane.retire(life))) {
                    tracing::info!(queue = route.key, "RabbitMQ refused on one channel what it takes on another");
                }
                waiting.into_iter().for_each(|job| self.submit(job));
            }
            Published::Unroutable | Published::Unconfirmed => again(self.doubts.unanswered(route)),
        }
        self.answered(job, published);
    }

    pub(super) fn answered(&mut self, job: Job, published: Published) {
        let route = &job.parcel.route;
        if self.illness.recovers(route) {
            let (exchange, key) = (route.exchange_name(), &route.key);
            tracing::info!(exchange, key, "RabbitMQ answers again for what is sent there");
        }
        job.answer(Attempted::Published(published));
    }

    /// Notes that the channel of a message has ended.
    pub(super) fn fail(&mut self, number: u64, error: &lapin::Error) {
        let Some(Flight { job, lane, .. }) = self.flights.fail(number) else { return };
        if lane == ALONE {
            again(self.doubts.unanswered(&job.parcel.route));
        }
        // Most likely an exchange has gone.
        self.exchanges.forget(lane);
        let exchange = job.parcel.route.exchange.as_ref();
        exchange.inspect(|exchange| self.exchanges.forget_one(&exchange.name));
        let is_ours_to_declare =
            failure::is_not_found(error) && exchange.is_some_and(|exchange| exchange.kind != ExchangeKind::Others);
        let refusal = match blame(&job.parcel, error) {
            Some(refusal) => refusal,
            // There is nobody else who may be to blame.
            None if lane == ALONE && failure::is_of_channel(error) && !is_ours_to_declare => {
                Refusal::Other(failure::text(error))
            }
            None => return job.answer(Attempted::Again),
        };
        match &refusal {
            Refusal::TooLarge { limit } => self.max_size = Some(*limit),
            Refusal::Exchange(_) | Refusal::Missing(_) => {
                self.illness.refuses(job.parcel.route.exchange_name(), refusal.clone(), Instant::now());
            }
            Refusal::Other(_) => {}
        }
        job.answer(Attempted::Refused(refusal));
    }

    pub(super) fn answer(&mut self) {
        for (job, is_returned) in self.lanes.settle() {
            self.answered(job, if is_returned { Published::Unroutable } else { Published::Confirmed });
        }
        for lane in self.lanes.numbers() {
            if self.flights.count(lane) == 0
                && let Some(lane) = self.lanes.get(lane)
            {
                lane.ledger.clear_returned();
            }
        }
    }
}
