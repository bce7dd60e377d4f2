//! The consumer of one queue, over the times that it is made again on one channel, and what comes out of it.
//!
//! Before it: [`super::session`] consumes its queues. After it: nothing.

use std::time::{Duration, Instant};

use lapin::{
    Channel,
    message::Delivery,
    options::{BasicNackOptions, QueueDeleteOptions},
    types::ShortString,
};
use tokio_util::sync::CancellationToken;

use super::super::wire::declare;

/// The consumer of a queue.
#[derive(Debug)]
pub(crate) struct Consuming {
    /// When it began.
    begun: Instant,
    /// How often it was made again.
    renewals: u32,
    /// Cancelled when nothing that was delivered to it can be settled any more.
    over: CancellationToken,
}

/// What comes out of a consumer.
pub(crate) enum Arrival {
    /// A message of the queue with this index.
    Delivery(usize, Box<Delivery>),
    /// The channel has failed.
    Failed(lapin::Error),
    /// The consumer of the queue with this index has ended.
    Ended(usize),
    /// A second consumer has ended; the first one knows why, if there is more to it than that it was cancelled.
    Narrowed,
}

impl Consuming {
    /// A consumer that begins now, of a session that is over with its token.
    pub(crate) fn new(session: &CancellationToken) -> Self {
        Self { begun: Instant::now(), renewals: 0, over: session.child_token() }
    }

    /// Begins anew: what was delivered before is in the queue again.
    pub(crate) fn renew(&mut self, session: &CancellationToken) {
        self.over.cancel();
        *self = Self { renewals: self.renewals + 1, ..Self::new(session) };
    }

    /// How long ago it began.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Cancelled when nothing that was delivered to it can be settled any more.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Its tag: the reference counts the queues from 1. Another one each time that it is made again.
    pub(crate) fn tag(&self, index: usize) -> ShortString {
        match self.renewals {
            0 => (index + 1).to_string().into(),
            renewals => format!("{}.{renewals}", index + 1).into(),
        }
    }
}

/// The tag of a queue's second consumer.
pub(crate) fn wide_tag(index: usize) -> ShortString {
    format!("{}+", index + 1).into()
}

/// What lapin gives, as an arrival.
pub(crate) fn arrival(index: usize, delivery: lapin::Result<Delivery>) -> Arrival {
    match delivery {
        Ok(delivery) => Arrival::Delivery(index, Box::new(delivery)),
        Err(error) => Arrival::Failed(error),
    }
}

/// Gives a delivery back that nobody has taken.
pub(crate) async fn give_back(delivery: &Delivery) {
    // Lost is as good: the broker has it back. Not rejected, which would count as an attempt.
    delivery.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await.ok();
}

/// Deletes queues.
pub(crate) async fn delete(channel: &Channel, queues: &[String]) -> Result<(), declare::Error> {
    for queue in queues {
        channel.queue_delete(declare::short(queue)?, QueueDeleteOptions::default()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_is_made_again_has_another_tag_and_lets_go_of_what_was_delivered() {
        let session = CancellationToken::new();
        let mut consumer = Consuming::new(&session);
        let before = consumer.over().clone();
        assert_eq!(consumer.tag(0).as_str(), "1");
        consumer.renew(&session);
        assert_eq!(consumer.tag(0).as_str(), "1.1");
        assert!(before.is_cancelled() && !consumer.over().is_cancelled());
        session.cancel();
        assert!(consumer.over().is_cancelled());
    }
}
