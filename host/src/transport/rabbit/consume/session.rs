//! One life of a consuming connection: declared, consumed, cancelled, closed.
//!
//! Before it: [`super::super::wire::connect`] has a connection. After it: [`super::consumer`] takes what arrives, and starts the next
//! life when this one ends.

mod wide;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions},
    types::{AMQPValue, ShortString},
};
use tokio::time::Instant as Moment;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    super::wire::{declare, failure, link::Link, task::Task},
    acks::{Acks, Frame},
    consuming::{Arrival, Consuming, arrival, delete, give_back, wide_tag},
    offsets::{Begin, Offset, Offsets, StreamPlace},
    settle::{self, RoundTrip, Settlement, Way},
    waiting::Waiting,
};
use crate::transport::{
    message::Arrived,
    topology::{Topology, Transient},
};

/// How long a queue must have been consumed for its loss to be mended on the same channel. One that goes again at once
/// is reason enough for a new connection, with its waits.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How long a stream that has been read before may deliver nothing at all. It begins with a message that we know; where
/// that does not come, this is another stream of the same name, and we would wait for an offset that it reaches in days.
const STREAM_PATIENCE: Duration = Duration::from_secs(30);

/// A consuming connection at work.
pub(crate) struct Session {
    /// The connection.
    pub(crate) link: Link,
    channel: Channel,
    topology: Topology,
    streams: HashMap<String, Offsets>,
    /// The streams that have yet to deliver something that we know, and until when.
    resumed: HashMap<usize, Moment>,
    /// Cancelled with the session: nothing can be settled any more.
    over: DropGuard,
    acks: Acks,
    _acknowledging: Task,
    round_trip: RoundTrip,
    arrivals: SelectAll<BoxStream<'static, Arrival>>,
    /// What has arrived and was not taken.
    waiting: Waiting<(Box<Delivery>, Option<StreamPlace>)>,
    /// The consumer of each queue.
    consumers: Vec<Consuming>,
    /// The prefetch of each consumer.
    prefetch: u16,
    /// The queues that are to be declared and consumed again.
    unconsumed: BTreeSet<usize>,
    /// Whether each queue has a second consumer, for what is beyond the prefetch.
    is_wide: bool,
}

impl Session {
    /// Declares everything and starts to consume: the reference's order, with the prefetch first.
    pub(crate) async fn open(
        mut link: Link,
        mut topology: Topology,
        streams: HashMap<String, Offsets>,
        prefetch: u16,
        transient: Transient,
    ) -> Result<Self, declare::Error> {
        let opening = async {
            loop {
                let channel = link.connection.create_channel().await?;
                // Not global: the limit is each consumer's own, so that a full topic queue does not hold up a fanout.
                channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
                let Err(error) = declare::all(&channel, &topology.declarations).await else { return Ok(channel) };
                match error.exchange_without_durability() {
                    // At most once for each exchange. The channel has gone with the refusal.
                    Some(exchange) if topology.give_up_durability(&exchange, transient) => {
                        tracing::warn!(exchange, "the exchange exists and is not durable; going on without");
                    }
                    _ => return Err::<Channel, _>(error),
                }
            }
        };
        let channel = link.events.answer(opening).await??;
        let queues = topology.queues.len();
        let acknowledged = channel.clone();
        let (acks, acknowledging) = Acks::start(move |frame| {
            let channel = acknowledged.clone();
            async move {
                match frame {
                    Frame::Ack { tag, multiple } => channel.basic_ack(tag, BasicAckOptions { multiple }).await.is_ok(),
                    // Since RabbitMQ 4.3, what is rejected counts as an attempt, and what is only not acknowledged does not.
                    Frame::GiveBack(tag) => {
                        channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await.is_ok()
                    }
                }
            }
        });
        let over = CancellationToken::new();
        let mut session = Self {
            link,
            acks,
            _acknowledging: acknowledging,
            round_trip: settle::round_trip(&channel, prefetch),
            channel,
            topology,
            streams,
            resumed: HashMap::new(),
            arrivals: SelectAll::new(),
            waiting: Waiting::new(queues),
            consumers: (0..queues).map(|_| Consuming::new(&over)).collect(),
            over: over.drop_guard(),
            prefetch,
            unconsumed: BTreeSet::new(),
            is_wide: false,
        };
        for index in 0..queues {
            session.consume(index).await?;
        }
        Ok(session)
    }

    /// Takes what has waited longest, of each queue in turn; it is to be settled.
    pub(crate) fn take(&mut self) -> Option<Arrived<Settlement>> {
        let (index, (delivery, place)) = self.waiting.take()?;
        let queue = self.topology.queues.get(index).map_or("", String::as_str);
        let from = settle::From { queue, counts: self.topology.counts_deliveries(index), place };
        let over = self.consumers.get(index).map_or(self.over.token(), Consuming::over).clone();
        let way = Way { over, acks: self.acks.clone(), round_trip: self.round_trip.clone() };
        Some(settle::delivery(*delivery, from, way))
    }

    /// Gives back what nobody has taken.
    pub(crate) async fn give_back(&mut self) {
        while let Some((_, (delivery, _))) = self.waiting.take() {
            // Lost is as good: the broker has it back.
            self.link.events.answer(give_back(&delivery)).await.ok();
            self.acks.note(delivery.delivery_tag);
        }
    }

    /// `host:port`, for logs.
    pub(crate) fn broker(&self) -> &str {
        self.link.broker()
    }

    /// Waits until there is something to be taken.
    ///
    /// # Errors
    ///
    /// Why the session is over.
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost. Dropped half-way, a queue that was lost may stay unconsumed until it is called again.
    pub(crate) async fn arrive(&mut self) -> Result<(), String> {
        loop {
            if let Some(index) = self.unconsumed.first().copied() {
                self.restore(index).await?;
            } else if self.waiting.is_empty() {
                self.advance().await?;
            } else {
                return Ok(());
            }
        }
    }

    /// Waits, while nobody can take anything, until a queue is to be consumed again, which [`Session::arrive`] does.
    ///
    /// # Errors
    ///
    /// Why the session is over.
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost.
    pub(crate) async fn hold(&mut self) -> Result<(), String> {
        while self.unconsumed.is_empty() {
            self.advance().await?;
        }
        Ok(())
    }

    /// Waits for the next thing to happen, and notes it.
    async fn advance(&mut self) -> Result<(), String> {
        let arrival = tokio::select! {
            error = self.link.events.trouble() => return Err(failure::loss(&error)),
            arrival = self.arrivals.next() => arrival,
            index = silent(&self.resumed) => return Err(self.renew(index)),
        };
        match arrival {
            Some(Arrival::Delivery(index, delivery)) => {
                self.resumed.remove(&index);
                self.note(index, delivery).await;
                Ok(())
            }
            Some(Arrival::Failed(error)) => Err(failure::loss(&error)),
            Some(Arrival::Narrowed) => Ok(()),
            Some(Arrival::Ended(index)) => self.note_ended(index),
            None => Err("all consumers have ended".to_owned()),
        }
    }

    /// Keeps what has arrived, unless it is done with.
    async fn note(&mut self, index: usize, mut delivery: Box<Delivery>) {
        let offsets = self.topology.queues.get(index).and_then(|queue| self.streams.get(queue));
        let place = match offsets.and_then(|offsets| offsets.arrive(&delivery)) {
            Some(Offset::Wanted(place, again)) => {
                delivery.redelivered |= again;
                Some(place)
            }
            Some(Offset::Done) => {
                // For the broker's count of what may be on its way. Lost is as good.
                self.link.events.answer(self.acks.acknowledge(delivery.delivery_tag)).await.ok();
                return;
            }
            None => None,
        };
        self.waiting.push(index, (delivery, place));
    }

    /// Takes a stream for another one of the same name.
    fn renew(&self, index: usize) -> String {
        let queue = self.topology.queues.get(index).map_or("", String::as_str);
        if let Some(offsets) = self.streams.get(queue) {
            offsets.renew();
        }
        format!("the stream `{queue}` has nothing where it was read before: it was made anew")
    }

    /// Waits until the session is over, when it delivers no more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn lost(&mut self) -> String {
        failure::loss(&self.link.events.trouble().await)
    }

    /// Stops consuming, then gives back what has arrived and was not taken. What was taken can still be settled.
    pub(crate) async fn cancel(&mut self, limit: Duration) {
        // Where it fails, the connection is lost and the broker has everything back.
        tokio::time::timeout(limit, self.cancel_all()).await.ok();
    }

    async fn cancel_all(&mut self) {
        // All of them first: what is given back must not arrive at the next one.
        for index in 0..self.topology.queues.len() {
            self.channel.basic_cancel(self.tag(index), BasicCancelOptions::default()).await.ok();
            if self.is_wide {
                self.channel.basic_cancel(wide_tag(index), BasicCancelOptions::default()).await.ok();
            }
        }
        self.give_back().await;
        while let Some(arrival) = self.arrivals.next().await {
            if let Arrival::Delivery(_, delivery) = arrival {
                give_back(&delivery).await;
            }
        }
    }

    /// Deletes our own queues and closes the connection, in `limit`; the broker takes back what is unsettled.
    pub(crate) async fn close(self, limit: Duration) {
        let deleted = tokio::time::timeout(limit, delete(&self.channel, &self.topology.own_queues)).await;
        if !matches!(deleted, Ok(Ok(()))) {
            tracing::info!(broker = self.broker(), "own queues stay until they expire: the connection is lost");
            return;
        }
        self.link.close(limit).await;
    }

    /// Notes that the broker has cancelled the consumer of a queue: it was deleted, or has moved, or a message of it was not
    /// settled for too long. It is consumed again on the same channel, so that other deliveries can still be settled.
    ///
    /// What was delivered to that consumer is in the queue again, if there is one. It must not be settled any more: a
    /// late acknowledgement brings a consumer that RabbitMQ 4.3 has cancelled for its slowness back to life, and nobody
    /// would hear what is delivered to it. Nor may its tag be used again, for which 4.3 closes the connection.
    fn note_ended(&mut self, index: usize) -> Result<(), String> {
        let queue = self.topology.queues.get(index).ok_or("an unknown consumer has ended")?;
        // The channel's end ends its consumers too, sometimes before it is known as such.
        if !self.channel.status().connected() {
            return Err("the channel has ended".to_owned());
        }
        let is_settled = self.consumers.get(index).is_some_and(|consumer| consumer.age() >= SETTLED_AFTER);
        if !is_settled || self.is_wide {
            return Err(format!("the broker has cancelled the consumer of `{queue}`"));
        }
        tracing::warn!(
            broker = self.broker(),
            queue,
            "RabbitMQ has cancelled a consumer (its queue was deleted or has moved, or a message was not settled within its \
             consumer_timeout); declaring the queue again"
        );
        if let Some(offsets) = self.streams.get(queue) {
            // Most likely it was deleted, and its offsets with it.
            offsets.forget();
        }
        // It is in the queue again.
        self.waiting.forget(index);
        if let Some(consumer) = self.consumers.get_mut(index) {
            consumer.renew(self.over.token());
        }
        self.unconsumed.insert(index);
        Ok(())
    }

    /// Declares and consumes a queue again. Where that was dropped half-way before, by another tag than then.
    async fn restore(&mut self, index: usize) -> Result<(), String> {
        let queue = self.topology.queues.get(index).ok_or("an unknown consumer has ended")?;
        // Only what belongs to it: where a node takes many queues along, each of them comes here.
        let declarations = self.topology.declarations_of(queue);
        if let Some(consumer) = self.consumers.get_mut(index) {
            consumer.renew(self.over.token());
        }
        let declaring = declare::all(&self.channel, &declarations);
        self.link.events.answer(declaring).await.map_err(|error| failure::text(&error))?.map_err(|e| e.to_string())?;
        self.consume(index).await.map_err(|error| error.to_string())?;
        self.unconsumed.remove(&index);
        Ok(())
    }

    /// The tag of a queue's consumer.
    fn tag(&self, index: usize) -> ShortString {
        self.consumers.get(index).map_or_else(ShortString::default, |consumer| consumer.tag(index))
    }

    /// Consumes a queue; what arrives ends with [`Arrival::Ended`].
    async fn consume(&mut self, index: usize) -> Result<(), declare::Error> {
        let Some(queue) = self.topology.queues.get(index) else { return Ok(()) };
        let mut arguments = declare::table(&self.topology.consumer_arguments)?;
        if let Some(offsets) = self.streams.get(queue) {
            let offset = match offsets.begin() {
                Begin::At(offset) => {
                    self.resumed.insert(index, Moment::now() + STREAM_PATIENCE);
                    AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
                }
                Begin::First => AMQPValue::LongString("first".into()),
                Begin::Last => AMQPValue::LongString("last".into()),
            };
            arguments.insert("x-stream-offset".into(), offset);
        }
        let (queue, tag) = (declare::short(queue)?, self.tag(index));
        let consuming = self.channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments);
        let arrivals = self.link.events.answer(consuming).await??.map(move |delivery| arrival(index, delivery));
        self.arrivals.push(arrivals.chain(stream::once(async move { Arrival::Ended(index) })).boxed());
        Ok(())
    }
}

/// Waits until one of the streams has said nothing for too long.
async fn silent(resumed: &HashMap<usize, Moment>) -> usize {
    match resumed.iter().min_by_key(|(_, until)| **until) {
        Some((index, until)) => {
            tokio::time::sleep_until(*until).await;
            *index
        }
        None => std::future::pending().await,
    }
}
