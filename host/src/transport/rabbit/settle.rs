//! What arrives, in the transport's words, and the way back to the broker.
//!
//! Before it: [`super::consume`]. After it: [`crate::transport::Deliveries`] hands it on, and its taker settles it.

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions},
};

use super::properties::{self, Properties};
use crate::transport::{self, Delivery, Disposition, Error, Header, Message, Origin};

/// The header in which a quorum queue counts the deliveries that failed.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The duty to settle a delivery. Dropped, the broker delivers the message again when the channel closes.
#[derive(Debug)]
pub struct Settlement {
    acker: Acker,
}

impl Settlement {
    /// Tells the broker what became of the delivery; returns when that is written to the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the connection that delivered it has gone. A tag means nothing on another one, and is
    /// never sent there.
    pub async fn settle(self, disposition: Disposition) -> Result<(), Error> {
        let settled = match disposition {
            Disposition::Ack => self.acker.ack(BasicAckOptions::default()).await,
            Disposition::Reject => self.acker.reject(BasicRejectOptions { requeue: false }).await,
            // Since RabbitMQ 4.3, rejected is failed and counts as an attempt; this is not, and does not.
            Disposition::Requeue => self.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await,
        };
        match settled {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::Lost),
        }
    }

    /// Whether the connection that delivered it has gone: the broker delivers the message again.
    #[must_use]
    pub(in crate::transport) fn is_lost(&self) -> bool {
        !self.acker.usable()
    }
}

/// A delivery as it is handed on. `counts` says whether its queue counts deliveries: only then is a count believed.
pub(super) fn delivery(delivery: lapin::message::Delivery, queue: &str, counts: bool) -> Delivery {
    let lapin::message::Delivery { exchange, routing_key, redelivered, properties, data, acker, .. } = delivery;
    let headers = properties::headers(&properties);
    let counted = counts.then(|| match headers.get(DELIVERY_COUNT) {
        Some(Header::Number(number)) => u32::try_from((*number).max(0)).unwrap_or(u32::MAX),
        // Left out before the second delivery.
        Some(Header::Text(_)) | None => 0,
    });
    let mut message = Message {
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        compression: match headers.get("compression") {
            Some(Header::Text(text)) => Some(text.clone()),
            Some(Header::Number(_)) | None => None,
        },
        expiration: properties::expiration(&properties),
        redelivered,
        headers,
        properties: Some(Properties::new(properties)),
        body: data,
        ..Message::default()
    };
    let (exchange, routing_key) = (exchange.to_string(), routing_key.to_string());
    message.note_arrival(Origin { exchange, routing_key, queue: queue.to_owned() }, counted);
    Delivery { message, settlement: transport::Settlement::Rabbit(Settlement { acker }) }
}

#[cfg(test)]
mod tests {
    use lapin::{
        BasicProperties,
        types::{AMQPValue, FieldTable},
    };

    use super::*;

    fn arrived(properties: BasicProperties) -> lapin::message::Delivery {
        let mut delivery = lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        delivery.properties = properties;
        delivery
    }

    #[test]
    fn content_type_and_compression_come_along() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::LongString("application/x-gzip".into()));
        let properties = BasicProperties::default().with_content_type("application/json".into()).with_headers(headers);
        let message = delivery(arrived(properties), "t", false).message;
        assert_eq!(message.body, b"{}");
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.compression.as_deref(), Some("application/x-gzip"));
        assert!(message.redelivered);
    }

    #[test]
    fn strange_or_missing_properties_are_nothing() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::Boolean(true));
        let message = delivery(arrived(BasicProperties::default().with_headers(headers)), "t", false).message;
        assert_eq!((message.content_type, message.compression), (None, None));
        assert_eq!(delivery(arrived(BasicProperties::default()), "t", false).message.compression, None);
    }

    #[test]
    fn the_count_of_a_queue_is_believed_where_the_queue_counts() {
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(4));
        let arrived = || arrived(BasicProperties::default().with_headers(headers.clone()));
        let quorum = delivery(arrived(), "t", true).message;
        assert_eq!((quorum.attempts.earlier, quorum.attempts.forgettable), (4, false));
        // Anybody may have sent it with that header.
        let classic = delivery(arrived(), "t", false).message;
        assert_eq!((classic.attempts.earlier, classic.attempts.forgettable), (1, true));
        assert_eq!(classic.origin, Origin { exchange: "nova".into(), routing_key: "t".into(), queue: "t".into() });
    }
}
