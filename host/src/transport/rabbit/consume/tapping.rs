//! One life of a connection that watches: declared, consumed, counted, ended.
//!
//! Before it: [`super::tap`] has it made. After it: copies leave through there.
//!
//! They are acknowledged, as soon as somebody has taken them: without that, the broker would send for as long as the
//! connection takes it, and lapin keeps what nobody has taken, without a bound. So what nobody has time for stays in the queue,
//! which has one.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{
    Channel,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::wire::{declare, failure, link::Link};
use crate::transport::{
    error::Error,
    topology::{Declaration, Topology},
};

/// The most copies that are here at once and that nobody has taken.
const PREFETCH: u16 = 64;

/// How long nothing arrives where nothing is left.
const QUIET: Duration = Duration::from_millis(200);

/// What arrived together.
type Together = Vec<lapin::Result<Delivery>>;

/// A connection that watches.
pub(super) struct Tapping {
    link: Link,
    channel: Channel,
    /// The queue of copies, which is its consumer's tag too.
    queue: ShortString,
    /// The queue of what had no room in that one.
    dropped: ShortString,
    arrivals: Pin<Box<dyn Stream<Item = Together> + Send>>,
}

/// What a connection has for its owner.
pub(super) enum Event {
    /// Copies, in their order.
    Copies(Vec<Delivery>),
    /// It is over; why.
    Lost(String),
}

impl Tapping {
    /// Declares and consumes.
    pub(super) async fn open(mut link: Link, topology: &Topology) -> Result<Self, Error> {
        let broker = link.broker().to_owned();
        let of = |error: &lapin::Error| failure::of_declaration(broker.clone(), error);
        let [queue, dropped] = topology.queues.as_slice() else {
            return Err(Error::QueueName("a watcher has two queues".to_owned()));
        };
        let name = |queue: &str| declare::short(queue).map_err(|error| error.meaning(broker.clone(), false));
        let (queue, dropped) = (name(queue)?, name(dropped)?);
        let opening = async {
            let channel = link.connection.create_channel().await.map_err(|error| of(&error))?;
            channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await.map_err(|error| of(&error))?;
            for declaration in &topology.declarations {
                declare::all(&channel, std::slice::from_ref(declaration))
                    .await
                    .map_err(|error| meaning(declaration, &error, broker.clone()))?;
            }
            let options = BasicConsumeOptions { exclusive: true, ..Default::default() };
            let consuming = channel.basic_consume(queue.clone(), queue.clone(), options, FieldTable::default());
            Ok::<_, Error>((consuming.await.map_err(|error| of(&error))?, channel))
        };
        let (consumer, channel) = link.events.answer(opening).await.map_err(|error| of(&error))??;
        let arrivals = Box::pin(consumer.ready_chunks(usize::from(PREFETCH)));
        Ok(Self { link, channel, queue, dropped, arrivals })
    }

    /// `host:port`, for logs.
    pub(super) fn broker(&self) -> &str {
        self.link.broker()
    }

    /// The next copies, where there is room for some; or the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&mut self, has_room: bool) -> Event {
        tokio::select! {
            // What has arrived first.
            biased;
            arrived = self.arrivals.next(), if has_room => match arrived {
                Some(together) => copies(together),
                None => Event::Lost("the broker has cancelled the consumer".to_owned()),
            },
            error = self.link.events.trouble() => Event::Lost(failure::loss(&error)),
        }
    }

    /// Makes room for as many copies more as were taken up to this one.
    pub(super) async fn took(&mut self, last: u64) -> Result<(), String> {
        let acknowledging = self.channel.basic_ack(last, BasicAckOptions { multiple: true });
        self.link.events.answer(acknowledging).await.and_then(|written| written).map_err(|error| failure::loss(&error))
    }

    /// How many copies had no room since the last time.
    pub(super) async fn dropped(&mut self) -> Result<u64, String> {
        let purging = self.channel.queue_purge(self.dropped.clone(), QueuePurgeOptions::default());
        let purged = self.link.events.answer(purging).await.and_then(|purged| purged);
        purged.map(u64::from).map_err(|error| failure::loss(&error))
    }

    /// Waits for the copies that are on their way, until the queue is empty and nothing comes any more; `None` where that is so,
    /// or `until` has passed.
    pub(super) async fn rest(&mut self, until: Instant) -> Option<Vec<Delivery>> {
        loop {
            match timeout_at(until.min(Instant::now() + QUIET), self.next(true)).await {
                Ok(Event::Copies(copies)) => return Some(copies),
                Ok(Event::Lost(_)) => return None,
                Err(_) if Instant::now() >= until || !self.has_more(until).await => return None,
                Err(_) => {}
            }
        }
    }

    /// Whether copies are left in the queue, as far as the broker says in time.
    async fn has_more(&mut self, until: Instant) -> bool {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked =
            timeout_at(until, self.channel.queue_declare(self.queue.clone(), options, FieldTable::default())).await;
        asked.is_ok_and(|asked| asked.is_ok_and(|queue| queue.message_count() > 0))
    }

    /// Has nothing more sent.
    pub(super) async fn cancel(&mut self, limit: Duration) {
        // Where the broker does not answer, nothing comes either.
        timeout(limit, self.channel.basic_cancel(self.queue.clone(), BasicCancelOptions::default())).await.ok();
    }

    /// The copies that the broker had sent before it has heard of [`Tapping::cancel`]; `None` after the last ones, or at `until`.
    pub(super) async fn drain(&mut self, until: Instant) -> Option<Vec<Delivery>> {
        match timeout_at(until, self.arrivals.next()).await.ok().flatten().map(copies)? {
            Event::Copies(copies) => Some(copies),
            Event::Lost(_) => None,
        }
    }

    /// Ends the connection, in `limit`; how many copies were left in the queue.
    pub(super) async fn end(self, limit: Duration) -> u64 {
        let left = timeout(limit, self.channel.queue_delete(self.queue.clone(), QueueDeleteOptions::default())).await;
        self.link.close(limit).await;
        // Where the connection is lost, both queues have gone with it.
        left.ok().and_then(Result::ok).map_or(0, u64::from)
    }
}

fn copies(together: Together) -> Event {
    let mut copies = Vec::with_capacity(together.len());
    for arrived in together {
        match arrived {
            Ok(delivery) => copies.push(delivery),
            Err(error) if copies.is_empty() => return Event::Lost(failure::loss(&error)),
            // It is said again with the next arrival.
            Err(_) => break,
        }
    }
    Event::Copies(copies)
}

/// What a failed declaration means. An exchange that is missing is the servers' to declare.
fn meaning(declaration: &Declaration, error: &declare::Error, broker: String) -> Error {
    match (declaration, error) {
        (Declaration::Exchange(exchange), declare::Error::Lapin(lapin)) if failure::is_not_found(lapin) => {
            let advice = match exchange.name.strip_suffix("_fanout") {
                Some(topic) => {
                    format!("every server of topic {topic} declares it: check the topic, or start one first")
                }
                None => "every server and client of the service declares it: check the exchange's name".to_owned(),
            };
            Error::Refused { broker, reason: format!("{}; {advice}", failure::text(lapin)) }
        }
        _ => error.meaning(broker, false),
    }
}
