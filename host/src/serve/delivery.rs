//! What a delivery holds on its way from the broker to its settlement, as states that follow one another.
//!
//! Before it: [`super::serve`] has a permit and a delivery. After it: [`super::work`] tells the story in these states. A
//! state is left only for the next one, so that nothing is given back too early, twice, or never:
//!
//! [`Pulled`] → [`Claimed`] → [`Ended`] → settled
//!
//! The permit, the place in the count of deliveries in flight, and the duty to settle are one value ([`Held`]). They end
//! together: when the delivery is settled. Dropped before that, the message goes back to the broker.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::duplicates::{Claim, Duplicates, Running};
use crate::{
    fair::Seat,
    journal::Entry,
    lending::{Lending, Slot, Standing},
    metrics::InFlight,
    transport::{Delivery, Disposition, Error, Message, Settlement},
};

/// What is held until the delivery is settled.
#[derive(Debug)]
struct Held {
    settlement: Settlement,
    permit: Arc<Slot>,
    in_flight: InFlight,
}

/// A delivery that was taken from the broker, with a permit.
#[derive(Debug)]
pub(super) struct Pulled {
    /// The message.
    pub(super) message: Message,
    /// When it came.
    since: Instant,
    held: Held,
}

/// A request that is ours to run: no other delivery of it runs in this host.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The message.
    pub(super) message: Message,
    /// When it came.
    pub(super) since: Instant,
    /// Where it is written down.
    pub(super) entry: Arc<Entry>,
    held: Claims,
    /// `None` where the sender has not marked it.
    claim: Option<Running>,
}

/// What a claimed request still holds.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every request has the large one")]
enum Claims {
    /// All of it.
    Unsettled(Held),
    /// Acknowledged before its handler started: it is at-most-once.
    Settled { permit: Arc<Slot>, _in_flight: InFlight },
    /// Acknowledged, or not: nobody knows, and nothing of it may run.
    Lost,
}

/// A delivery that has come to its end and is to be settled.
#[derive(Debug)]
pub(super) struct Ended {
    /// The message.
    pub(super) message: Message,
    held: Claims,
    claim: Option<Running>,
}

impl Pulled {
    /// Begins with what the broker has delivered.
    pub(super) fn new(delivery: Delivery, permit: Arc<Slot>, in_flight: InFlight) -> Self {
        let Delivery { message, settlement } = delivery;
        Self { message, since: Instant::now(), held: Held { settlement, permit, in_flight } }
    }

    /// Claims the request by its mark, or without one. Where another delivery of it runs, waits until that has ended.
    ///
    /// # Errors
    ///
    /// The delivery back, to be settled: the request has run.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the message goes back to the broker.
    pub(super) async fn claim(
        self,
        id: Option<Arc<str>>,
        entry: Arc<Entry>,
        duplicates: &Duplicates,
    ) -> Result<Claimed, Ended> {
        let claim = match id {
            None => None,
            Some(id) => match duplicates.claim(id).await {
                Claim::First(claim) => Some(claim),
                Claim::Done => return Err(self.end()),
            },
        };
        Ok(Claimed { message: self.message, since: self.since, entry, held: Claims::Unsettled(self.held), claim })
    }

    /// Ends a delivery that is no request.
    pub(super) fn end(self) -> Ended {
        Ended { message: self.message, held: Claims::Unsettled(self.held), claim: None }
    }
}

impl Claimed {
    /// Acknowledges before the handler starts, and waits until the broker has acted on it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where that is not sure. Then the request must not run: the broker may deliver it again.
    pub(super) async fn acknowledge_first(&mut self) -> Result<(), Error> {
        if let Claims::Unsettled(Held { settlement, permit, in_flight }) = mem::replace(&mut self.held, Claims::Lost) {
            settlement.acknowledge_surely().await?;
            self.held = Claims::Settled { permit, _in_flight: in_flight };
        }
        Ok(())
    }

    /// What of it is lent while the request waits for others.
    pub(super) fn standing(&self, lending: &Lending, seat: Option<Arc<Seat>>) -> Option<Arc<Standing>> {
        let mut standing = Standing::new(lending.clone(), Arc::clone(self.held.permit()?));
        if let Some(seat) = seat {
            standing = standing.seated(seat);
        }
        Some(Arc::new(standing.telling(self.entry.progress().clone())))
    }

    /// Its permit, as long as it holds one.
    pub(super) fn permit(&self) -> Option<&Slot> {
        self.held.permit().map(|permit| &**permit)
    }

    /// Waits until the broker delivers the message again, for the connection that brought it has gone.
    pub(super) async fn lost(&self) {
        match &self.held {
            Claims::Unsettled(Held { settlement, .. }) => settlement.lost().await,
            Claims::Settled { .. } | Claims::Lost => std::future::pending().await,
        }
    }

    /// Settles a delivery whose message was replaced by a copy: that is to run, so the claim is given up, not kept.
    pub(super) async fn replaced(self) {
        drop(self.claim);
        settle(self.held, Disposition::Ack).await;
    }

    /// Gives the message back, for this host or another.
    pub(super) async fn give_back(self) {
        drop(self.claim);
        settle(self.held, Disposition::Requeue).await;
    }

    /// The request has come to its end.
    pub(super) fn end(self) -> Ended {
        Ended { message: self.message, held: self.held, claim: self.claim }
    }
}

impl Ended {
    /// Whether the broker still waits for the settlement.
    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self.held, Claims::Unsettled(_))
    }

    /// Its permit, as long as it holds one.
    pub(super) fn permit(&self) -> Option<&Slot> {
        self.held.permit().map(|permit| &**permit)
    }

    /// Tells the broker, and only then lets go of all that was held. The message is left, for what is still to be sent.
    pub(super) async fn settle(self, disposition: Disposition) -> Message {
        settle(self.held, disposition).await;
        if let Some(claim) = self.claim {
            claim.done();
        }
        self.message
    }
}

impl Claims {
    fn permit(&self) -> Option<&Arc<Slot>> {
        match self {
            Self::Unsettled(Held { permit, .. }) | Self::Settled { permit, .. } => Some(permit),
            Self::Lost => None,
        }
    }
}

async fn settle(held: Claims, disposition: Disposition) {
    match held {
        Claims::Unsettled(Held { settlement, permit, in_flight }) => {
            if let Err(error) = settlement.settle(disposition).await {
                tracing::warn!(%error, "not settled");
            }
            permit.release();
            drop(in_flight);
        }
        Claims::Settled { permit, .. } => permit.release(),
        Claims::Lost => {}
    }
}
