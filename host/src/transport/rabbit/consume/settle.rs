//! What arrives, in the transport's words, and the way back to the broker.
//!
//! Before it: [`super::session`]. After it: [`crate::transport::Deliveries`] hands it on, and its taker settles it.

use std::{fmt, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use lapin::{
    Acker, Channel,
    options::{BasicNackOptions, BasicQosOptions, BasicRejectOptions},
};
use tokio_util::sync::CancellationToken;

use super::{super::wire::properties, acks::Acks, offsets::StreamPlace};
use crate::transport::{
    error::Error,
    message::{Arrived, Disposition, Header, Origin},
};

/// The header in which a quorum queue counts the deliveries that failed.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The queue that delivers.
#[derive(Debug)]
pub(crate) struct From<'a> {
    /// Its name.
    pub(crate) queue: &'a str,
    /// Whether it counts deliveries: only then is a count believed.
    pub(crate) counts: bool,
    /// The place of the message, where the queue is a stream.
    pub(crate) place: Option<StreamPlace>,
}

/// What a connection lends to the deliveries that it brought.
#[derive(Clone)]
pub(crate) struct Way {
    /// Cancelled when the connection is given up.
    pub(crate) over: CancellationToken,
    /// Its acknowledgements.
    pub(crate) acks: Acks,
    /// See [`round_trip`].
    pub(crate) round_trip: RoundTrip,
}

/// Asks the broker something on the channel, and waits for the answer.
pub(crate) type RoundTrip = Arc<dyn Fn() -> BoxFuture<'static, lapin::Result<()>> + Send + Sync>;

/// AMQP confirms no acknowledgement. But a broker reads what comes on a channel in order: once it has answered what was
/// asked after an acknowledgement, it has acted on that. Any method with an answer does; this one says again what holds
/// already.
pub(crate) fn round_trip(channel: &Channel, prefetch: u16) -> RoundTrip {
    let channel = channel.clone();
    Arc::new(move || {
        let channel = channel.clone();
        async move { channel.basic_qos(prefetch, BasicQosOptions { global: false }).await }.boxed()
    })
}

/// The duty to settle a delivery. Dropped without that, the message is given back.
#[derive(Debug)]
pub struct Settlement(Option<Duty>);

#[derive(Debug)]
struct Duty {
    /// Its number on the channel.
    tag: u64,
    acker: Acker,
    way: Way,
    /// Its place in a stream. The broker has no other way to deliver it again than to be asked for it.
    place: Option<StreamPlace>,
}

impl Settlement {
    /// Tells the broker what became of the delivery; returns when that is written to the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the connection that delivered it has gone. A tag means nothing on another one, and is
    /// never sent there.
    pub async fn settle(mut self, disposition: Disposition) -> Result<(), Error> {
        match self.0.take() {
            Some(duty) => duty.settle(disposition).await,
            None => Ok(()),
        }
    }

    /// Acknowledges, and returns when the broker has acted on it: it will not deliver the message again.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] as for [`Settlement::settle`]. The broker may have acted on it all the same.
    pub async fn acknowledge_surely(mut self) -> Result<(), Error> {
        let Some(duty) = self.0.take() else { return Ok(()) };
        let way = duty.way.clone();
        duty.settle(Disposition::Ack).await?;
        match way.over.run_until_cancelled((way.round_trip)()).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Error::Lost),
        }
    }

    /// Whether the connection that delivered it has gone: the broker delivers the message again.
    #[must_use]
    pub(in crate::transport) fn is_lost(&self) -> bool {
        self.0.as_ref().is_some_and(|duty| duty.way.over.is_cancelled() || !duty.acker.usable())
    }

    /// Waits until the connection that delivered it has gone.
    pub(in crate::transport) async fn lost(&self) {
        match &self.0 {
            Some(duty) => duty.way.over.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        // What came from a stream stays there, and what was delivered to a consumer that is no more is back already.
        if let Some(Duty { tag, way, place: None, .. }) = &self.0
            && !way.over.is_cancelled()
        {
            way.acks.give_back(*tag);
        }
    }
}

impl Duty {
    async fn settle(self, disposition: Disposition) -> Result<(), Error> {
        let settling = async {
            let settled = match disposition {
                Disposition::Ack => return self.way.acks.acknowledge(self.tag).await,
                Disposition::Reject => self.acker.reject(BasicRejectOptions { requeue: false }).await,
                // Since RabbitMQ 4.3, rejected is failed and counts as an attempt; this is not, and does not.
                Disposition::Requeue => self.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await,
            };
            self.way.acks.note(self.tag);
            matches!(settled, Ok(true))
        };
        // lapin leaves a settlement that meets the end of its connection unanswered: whoever waited only for that would
        // wait for ever.
        match self.way.over.run_until_cancelled(settling).await {
            Some(true) => {
                if let Some(place) = self.place {
                    place.settled();
                }
                Ok(())
            }
            Some(false) | None => Err(Error::Lost),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("over", &self.over.is_cancelled()).finish_non_exhaustive()
    }
}

/// A delivery as it is handed on, by a connection that says when it is given up.
pub(crate) fn delivery(delivery: lapin::message::Delivery, from: From<'_>, way: Way) -> Arrived<Settlement> {
    let lapin::message::Delivery {
        delivery_tag: tag, exchange, routing_key, redelivered, properties, data, acker, ..
    } = delivery;
    let mut message = properties::message(properties, data, redelivered);
    let counted = match message.headers.get(DELIVERY_COUNT) {
        Some(Header::Number(number)) if from.counts => Some(u32::try_from((*number).max(0)).unwrap_or(u32::MAX)),
        // Left out before the second delivery.
        _ if from.counts => Some(0),
        // A copy in a stream would reach every reader: its messages are not counted at all.
        _ if from.place.is_some() => Some(0),
        _ => None,
    };
    let (exchange, routing_key) = (exchange.to_string(), routing_key.to_string());
    message.note_arrival(Origin { exchange, routing_key, queue: from.queue.to_owned() }, counted);
    Arrived { message, settlement: Settlement(Some(Duty { tag, acker, way, place: from.place })) }
}

#[cfg(test)]
mod tests {
    use lapin::{
        BasicProperties,
        types::{AMQPValue, FieldTable},
    };

    use super::*;

    const CLASSIC: From<'_> = From { queue: "t", counts: false, place: None };

    /// A connection whose broker answers at once.
    fn way() -> Way {
        let (over, acks) = (CancellationToken::new(), Acks::written());
        Way { over, acks, round_trip: Arc::new(|| async { Ok(()) }.boxed()) }
    }

    fn arrived(properties: BasicProperties) -> Arrived<Settlement> {
        let mut mock = lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        mock.properties = properties;
        delivery(mock, CLASSIC, way())
    }

    #[test]
    fn content_type_and_compression_come_along() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::LongString("application/x-gzip".into()));
        let properties = BasicProperties::default().with_content_type("application/json".into()).with_headers(headers);
        let message = arrived(properties).message;
        assert_eq!(&*message.body, b"{}");
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.compression.as_deref(), Some("application/x-gzip"));
        assert!(message.redelivered);
    }

    #[test]
    fn strange_or_missing_properties_are_nothing() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::Boolean(true));
        let message = arrived(BasicProperties::default().with_headers(headers)).message;
        assert_eq!((message.content_type, message.compression), (None, None));
        assert_eq!(arrived(BasicProperties::default()).message.compression, None);
    }

    #[test]
    fn the_count_of_a_queue_is_believed_where_the_queue_counts() {
        let count = |from| {
            let mut headers = FieldTable::default();
            headers.insert(DELIVERY_COUNT.into(), AMQPValue::LongLongInt(4));
            let mut mock = lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
            mock.properties = BasicProperties::default().with_headers(headers);
            delivery(mock, from, way()).message
        };
        let quorum = count(From { queue: "t", counts: true, place: None });
        assert_eq!((quorum.attempts.earlier, quorum.attempts.forgettable), (4, false));
        // Anybody may have sent it with that header.
        let classic = count(CLASSIC);
        assert_eq!((classic.attempts.earlier, classic.attempts.forgettable), (1, true));
        assert_eq!(classic.origin, Origin { exchange: "nova".into(), routing_key: "t".into(), queue: "t".into() });
    }

    #[tokio::test]
    async fn nothing_is_settled_on_a_connection_that_was_given_up() {
        let way = way();
        let mock = || lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        let [kept, lost] = [(); 2].map(|()| delivery(mock(), CLASSIC, way.clone()).settlement);
        assert!(!lost.is_lost());
        assert!(kept.settle(Disposition::Ack).await.is_ok());
        way.over.cancel();
        assert!(lost.is_lost());
        assert!(matches!(lost.settle(Disposition::Ack).await, Err(Error::Lost)));
    }

    #[tokio::test]
    async fn a_sure_acknowledgement_waits_for_the_brokers_answer() {
        let mock = || lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        assert!(delivery(mock(), CLASSIC, way()).settlement.acknowledge_surely().await.is_ok());
        let silent = Way { round_trip: Arc::new(|| std::future::pending().boxed()), ..way() };
        let settlement = delivery(mock(), CLASSIC, silent.clone()).settlement;
        let mut waiting = std::pin::pin!(settlement.acknowledge_surely());
        assert!(waiting.as_mut().now_or_never().is_none());
        silent.over.cancel();
        assert!(matches!(waiting.await, Err(Error::Lost)));
    }
}
