//! What arrives, and the duty to settle it.
//!
//! Before it: [`super::Transport::listen`]. After it: [`crate::serve`] takes deliveries and settles them.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    error::Error,
    memory,
    message::{Arrived, Disposition},
    rabbit,
};

/// One message as it arrived, with the duty to settle it.
pub type Delivery = Arrived<Settlement>;

/// The duty to settle one delivery. Dropped unsettled, the message is given back to the broker.
#[derive(Debug)]
pub enum Settlement {
    /// See [`memory`].
    Memory(memory::Settlement),
    /// See [`rabbit`].
    Rabbit(rabbit::Settlement),
}

/// A stream of deliveries, merged from all queues of a subscription.
#[derive(Debug)]
pub struct Deliveries {
    /// The queues that are consumed.
    queues: Arc<[String]>,
    /// How many of each may be unsettled at once.
    prefetch: u16,
    source: Source,
}

/// Where they come from.
#[derive(Debug)]
pub(super) enum Source {
    Memory(mpsc::Receiver<Arrived<memory::Settlement>>, memory::Consumer),
    Rabbit(mpsc::Receiver<Arrived<rabbit::Settlement>>, rabbit::Consumer),
}

impl Deliveries {
    pub(super) fn new(queues: Vec<String>, prefetch: u16, source: Source) -> Self {
        Self { queues: queues.into(), prefetch, source }
    }

    /// How many deliveries of each queue may be unsettled at once, but for what [`Deliveries::widen`] adds.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// The names of the queues that are consumed.
    #[must_use]
    pub fn queues(&self) -> Arc<[String]> {
        Arc::clone(&self.queues)
    }

    /// The next delivery; `None` after [`Deliveries::cancel`].
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.source.receive().await?;
            // One whose connection was lost while it waited here comes again.
            if !delivery.settlement.is_lost() {
                return Some(delivery);
            }
        }
    }

    /// Takes up to `more` unsettled deliveries of each queue beyond the prefetch of the subscription; 0 ends that.
    pub async fn widen(&mut self, more: u16) {
        match &mut self.source {
            Source::Memory(_, consumer) => consumer.widen(more),
            Source::Rabbit(_, consumer) => consumer.widen(more).await,
        }
    }

    /// Stops consuming and gives back what has arrived and was not taken. What was taken can still be settled.
    pub async fn cancel(&mut self) {
        match &mut self.source {
            Source::Memory(receiver, consumer) => {
                consumer.cancel();
                receiver.close();
            }
            Source::Rabbit(receiver, consumer) => {
                consumer.cancel().await;
                receiver.close();
            }
        }
        while let Some(delivery) = self.source.receive().await {
            // Lost is as good: the broker delivers it again.
            delivery.settlement.settle(Disposition::Requeue).await.ok();
        }
    }

    /// Ends the subscription: deletes the queues that are ours alone (fanout, reply) and gives everything unsettled
    /// back to the broker.
    pub async fn close(mut self) {
        self.cancel().await;
        match self.source {
            Source::Memory(_, consumer) => consumer.close(),
            Source::Rabbit(_, consumer) => consumer.close().await,
        }
    }
}

impl Source {
    async fn receive(&mut self) -> Option<Delivery> {
        Some(match self {
            Self::Memory(receiver, _) => receiver.recv().await?.map(Settlement::Memory),
            Self::Rabbit(receiver, _) => receiver.recv().await?.map(Settlement::Rabbit),
        })
    }
}

impl Settlement {
    /// Tells the broker what became of the delivery.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the connection that delivered it has gone.
    pub async fn settle(self, disposition: Disposition) -> Result<(), Error> {
        match self {
            Self::Memory(settlement) => {
                settlement.settle(disposition);
                Ok(())
            }
            Self::Rabbit(settlement) => settlement.settle(disposition).await,
        }
    }

    /// Acknowledges, and returns when the broker will not deliver the message again, whatever happens.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the connection that delivered it has gone; it may have been acknowledged all the same.
    pub async fn acknowledge_surely(self) -> Result<(), Error> {
        match self {
            Self::Memory(settlement) => {
                settlement.settle(Disposition::Ack);
                Ok(())
            }
            Self::Rabbit(settlement) => settlement.acknowledge_surely().await,
        }
    }

    /// Waits until settling can only end in [`Error::Lost`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lost(&self) {
        match self {
            Self::Memory(_) => std::future::pending().await,
            Self::Rabbit(settlement) => settlement.lost().await,
        }
    }

    /// Whether settling can only end in [`Error::Lost`].
    fn is_lost(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Rabbit(settlement) => settlement.is_lost(),
        }
    }
}
