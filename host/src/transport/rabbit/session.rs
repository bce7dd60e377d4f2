//! One life of a consuming connection: declared, consumed, cancelled, closed.
//!
//! Before it: [`super::connect`] has a connection. After it: [`super::consume`] takes what arrives, and starts the next
//! life when this one ends.

use std::time::{Duration, Instant};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{declare, failure, link::Link, settle};
use crate::transport::{self, Error, topology::Topology};

/// How long a queue must have been consumed for its loss to be mended on the same channel. One that goes again at once
/// is reason enough for a new connection, with its waits.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// A consuming connection at work.
pub(super) struct Session {
    link: Link,
    channel: Channel,
    /// Cancelled with the session: nothing can be settled any more.
    over: DropGuard,
    arrivals: SelectAll<BoxStream<'static, Arrival>>,
    /// When queues were last declared.
    mended: Instant,
}

/// What comes out of a consumer.
enum Arrival {
    Delivery(Box<Delivery>),
    Failed(lapin::Error),
    /// The consumer of the queue with this index has ended.
    Ended(usize),
}

/// What a session has for its owner.
pub(super) enum Event {
    /// A message.
    Delivery(Box<Delivery>),
    /// The session is over; why.
    Lost(String),
}

impl Session {
    /// Declares everything and starts to consume: the reference's order, with the prefetch first.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`].
    pub(super) async fn open(link: Link, topology: &Topology, prefetch: u16) -> Result<Self, Error> {
        let broker = link.broker().to_owned();
        Self::prepare(link, topology, prefetch).await.map_err(|error| match error {
            declare::Error::Name(name) => {
                let name: String = name.chars().take(40).collect();
                Error::Refused { broker, reason: format!("a name is longer than 255 bytes: {name}…; shorten it") }
            }
            declare::Error::Lapin(error) => failure::of_declaration(broker, &error),
        })
    }

    async fn prepare(mut link: Link, topology: &Topology, prefetch: u16) -> Result<Self, declare::Error> {
        let mut arrivals = SelectAll::new();
        let opening = async {
            let channel = link.connection.create_channel().await?;
            // Not global: the limit is each consumer's own, so that a full topic queue does not hold up a fanout.
            channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
            declare::all(&channel, &topology.declarations).await?;
            for (index, queue) in topology.queues.iter().enumerate() {
                arrivals.push(consume(&channel, index, queue).await?);
            }
            Ok::<_, declare::Error>(channel)
        };
        let channel = link.events.answer(opening).await??;
        Ok(Self { link, channel, over: CancellationToken::new().drop_guard(), arrivals, mended: Instant::now() })
    }

    /// A delivery, to be taken and settled.
    pub(super) fn hand_over(&self, delivery: Delivery) -> transport::Delivery {
        settle::delivery(delivery, self.over.token().clone())
    }

    /// Gives a delivery back that nobody has taken.
    pub(super) async fn give_back(&mut self, delivery: &Delivery) {
        // Lost is as good: the broker has it back.
        self.link.events.answer(give_back(delivery)).await.ok();
    }

    /// `host:port`, for logs.
    pub(super) fn broker(&self) -> &str {
        self.link.broker()
    }

    /// The next message of any queue, in turn where several have one; or the end.
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost. Dropped half-way, a queue that was lost may stay unconsumed: call it again, or
    /// [`Session::cancel`].
    pub(super) async fn next(&mut self, topology: &Topology) -> Event {
        loop {
            let arrival = tokio::select! {
                error = self.link.events.trouble() => return Event::Lost(failure::text(&error)),
                arrival = self.arrivals.next() => arrival,
            };
            match arrival {
                Some(Arrival::Delivery(delivery)) => return Event::Delivery(delivery),
                Some(Arrival::Failed(error)) => return Event::Lost(failure::text(&error)),
                Some(Arrival::Ended(index)) => {
                    if let Err(reason) = self.mend(index, topology).await {
                        return Event::Lost(reason);
                    }
                }
                None => return Event::Lost("all consumers have ended".to_owned()),
            }
        }
    }

    /// Waits until the session is over, while nobody can take a message.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn lost(&mut self) -> String {
        failure::text(&self.link.events.trouble().await)
    }

    /// Stops consuming, then gives back what has arrived and was not taken. What was taken can still be settled.
    pub(super) async fn cancel(&mut self, queues: usize, limit: Duration) {
        // Where it fails, the connection is lost and the broker has everything back.
        tokio::time::timeout(limit, self.cancel_all(queues)).await.ok();
    }

    async fn cancel_all(&mut self, queues: usize) {
        // All of them first: what is given back must not arrive at the next one.
        for index in 0..queues {
            self.channel.basic_cancel(tag(index), BasicCancelOptions::default()).await.ok();
        }
        while let Some(arrival) = self.arrivals.next().await {
            if let Arrival::Delivery(delivery) = arrival {
                give_back(&delivery).await;
            }
        }
    }

    /// Deletes our own queues and closes the connection, in `limit`; the broker takes back what is unsettled.
    pub(super) async fn close(self, own_queues: &[String], limit: Duration) {
        let deleted = tokio::time::timeout(limit, delete(&self.channel, own_queues)).await;
        if !matches!(deleted, Ok(Ok(()))) {
            tracing::info!(broker = self.broker(), "own queues stay until they expire: the connection is lost");
            return;
        }
        self.link.close(limit).await;
    }

    /// Declares and consumes a queue again whose consumer the broker has cancelled: the queue was deleted, or has moved.
    /// On the same channel, so that other deliveries can still be settled.
    async fn mend(&mut self, index: usize, topology: &Topology) -> Result<(), String> {
        let queue = topology.queues.get(index).ok_or("an unknown consumer has ended")?;
        // The channel's end ends its consumers too, sometimes before it is known as such.
        if !self.channel.status().connected() {
            return Err("the channel has ended".to_owned());
        }
        if self.mended.elapsed() < SETTLED_AFTER {
            return Err(format!("the broker has cancelled the consumer of `{queue}`"));
        }
        tracing::warn!(broker = self.broker(), queue, "RabbitMQ has cancelled a consumer; declaring its queue again");
        self.mended = Instant::now();
        let mending = async {
            declare::all(&self.channel, &topology.declarations).await?;
            consume(&self.channel, index, queue).await
        };
        let mended = self.link.events.answer(mending).await.unwrap_or_else(|error| Err(error.into()));
        self.arrivals.push(mended.map_err(|error| match error {
            declare::Error::Name(name) => format!("the name `{name}` is too long"),
            declare::Error::Lapin(error) => failure::text(&error),
        })?);
        Ok(())
    }
}

/// Consumes a queue; what arrives ends with [`Arrival::Ended`].
async fn consume(channel: &Channel, index: usize, queue: &str) -> Result<BoxStream<'static, Arrival>, declare::Error> {
    let (queue, tag) = (declare::short(queue)?, tag(index));
    let consumer = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    let arrivals = consumer.map(|delivery| match delivery {
        Ok(delivery) => Arrival::Delivery(Box::new(delivery)),
        Err(error) => Arrival::Failed(error),
    });
    Ok(arrivals.chain(stream::once(async move { Arrival::Ended(index) })).boxed())
}

async fn delete(channel: &Channel, queues: &[String]) -> Result<(), declare::Error> {
    for queue in queues {
        channel.queue_delete(declare::short(queue)?, QueueDeleteOptions::default()).await?;
    }
    Ok(())
}

async fn give_back(delivery: &Delivery) {
    // Lost is as good: the broker has it back.
    delivery.acker.reject(BasicRejectOptions { requeue: true }).await.ok();
}

/// The tag of a queue's consumer: the reference counts from 1.
fn tag(index: usize) -> ShortString {
    (index + 1).to_string().into()
}
