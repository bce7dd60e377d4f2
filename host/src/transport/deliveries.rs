//! What arrives, and the duty to settle it.
//!
//! Before it: [`super::Transport::listen`]. After it: [`crate::serve`] takes deliveries and settles them.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Attempts, Error, Headers, Origin, memory, rabbit};

/// One message as it arrived, with the duty to settle it.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// How the broker is told what became of it.
    pub settlement: Settlement,
}

/// A message as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The bytes.
    pub body: Vec<u8>,
    /// AMQP's `content-type`.
    pub content_type: Option<String>,
    /// The header `compression`.
    pub compression: Option<String>,
    /// How long it may wait in a queue, from when it was sent.
    pub expiration: Option<Duration>,
    /// Whether the broker has delivered it before.
    pub redelivered: bool,
    /// How often it was delivered before, as far as anybody counts.
    pub attempts: Attempts,
    /// Where it came from.
    pub origin: Origin,
    /// Its headers that are strings or integers.
    pub headers: Headers,
    /// Everything it carries beside its body, for copies; `None` in memory, where there is nothing else.
    pub properties: Option<rabbit::Properties>,
}

/// What the broker is told about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Done with.
    Ack,
    /// It cannot be processed: not again, and to the dead-letter exchange if there is one.
    Reject,
    /// Given back, for this server or another. Where the queue counts and can tell (quorum queues since RabbitMQ 4.3),
    /// this delivery was no attempt.
    Requeue,
}

/// The duty to settle one delivery. Dropped unsettled, the broker delivers the message again: at once in memory, when
/// the channel closes with RabbitMQ.
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
    receiver: mpsc::Receiver<Delivery>,
    source: Source,
}

/// Where they come from.
#[derive(Debug)]
pub(super) enum Source {
    Memory(memory::Consumer),
    Rabbit(rabbit::Consumer),
}

impl Deliveries {
    pub(super) fn new(receiver: mpsc::Receiver<Delivery>, source: Source) -> Self {
        Self { receiver, source }
    }

    /// The next delivery; `None` after [`Deliveries::cancel`].
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.receiver.recv().await?;
            // One whose connection was lost while it waited here comes again.
            if !delivery.settlement.is_lost() {
                return Some(delivery);
            }
        }
    }

    /// Stops consuming and gives back what has arrived and was not taken. What was taken can still be settled.
    pub async fn cancel(&mut self) {
        match &mut self.source {
            Source::Memory(consumer) => consumer.cancel(),
            Source::Rabbit(consumer) => consumer.cancel().await,
        }
        self.receiver.close();
        while let Some(delivery) = self.receiver.recv().await {
            // Lost is as good: the broker delivers it again.
            delivery.settlement.settle(Disposition::Requeue).await.ok();
        }
    }

    /// Ends the subscription: deletes the queues that are ours alone (fanout, reply) and gives everything unsettled
    /// back to the broker.
    pub async fn close(mut self) {
        self.cancel().await;
        match self.source {
            Source::Memory(consumer) => consumer.close(),
            Source::Rabbit(consumer) => consumer.close().await,
        }
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

    /// Whether settling can only end in [`Error::Lost`].
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Rabbit(settlement) => settlement.is_lost(),
        }
    }
}
