//! What arrives, in the transport's words, and the way back to the broker.
//!
//! Before it: [`super::consume`]. After it: [`crate::transport::Deliveries`] hands it on, and its taker settles it.

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicRejectOptions},
    types::AMQPValue,
};

use super::offsets::Place;
use crate::transport::{self, Delivery, Disposition, Error, Message};

/// The duty to settle a delivery. Dropped, the broker delivers the message again when the channel closes.
#[derive(Debug)]
pub struct Settlement {
    acker: Acker,
    /// Its place in a stream. The broker has no other way to deliver it again than to be asked for it.
    place: Option<Place>,
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
            Disposition::Requeue => self.acker.reject(BasicRejectOptions { requeue: true }).await,
        };
        match settled {
            Ok(true) => {
                if let Some(place) = self.place {
                    place.settled();
                }
                Ok(())
            }
            Ok(false) | Err(_) => Err(Error::Lost),
        }
    }

    /// Whether the connection that delivered it has gone: the broker delivers the message again.
    #[must_use]
    pub(in crate::transport) fn is_lost(&self) -> bool {
        !self.acker.usable()
    }
}

/// A delivery as it is handed on.
pub(super) fn delivery(delivery: lapin::message::Delivery, place: Option<Place>) -> Delivery {
    let headers = delivery.properties.headers().as_ref();
    let compression = headers.and_then(|table| table.inner().get("compression")).and_then(|value| match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    });
    let message = Message {
        content_type: delivery.properties.content_type().as_ref().map(ToString::to_string),
        compression,
        redelivered: delivery.redelivered,
        body: delivery.data,
    };
    Delivery { message, settlement: transport::Settlement::Rabbit(Settlement { acker: delivery.acker, place }) }
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, types::FieldTable};

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
        let message = delivery(arrived(properties), None).message;
        assert_eq!(message.body, b"{}");
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.compression.as_deref(), Some("application/x-gzip"));
        assert!(message.redelivered);
    }

    #[test]
    fn strange_or_missing_properties_are_nothing() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::Boolean(true));
        let message = delivery(arrived(BasicProperties::default().with_headers(headers)), None).message;
        assert_eq!((message.content_type, message.compression), (None, None));
        assert_eq!(delivery(arrived(BasicProperties::default()), None).message.compression, None);
    }
}
