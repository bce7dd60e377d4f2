//! What arrives, in the transport's words, and the way back to the broker.
//!
//! Before it: [`super::consume`]. After it: [`crate::transport::Deliveries`] hands it on, and its taker settles it.

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicRejectOptions},
    types::AMQPValue,
};

use tokio_util::sync::CancellationToken;

use super::{message::COMPRESSION, offsets::Place};
use crate::transport::{self, Delivery, Disposition, Error, Message};

/// The duty to settle a delivery. Dropped, the broker delivers the message again when the channel closes.
#[derive(Debug)]
pub struct Settlement {
    acker: Acker,
    /// Its place in a stream. The broker has no other way to deliver it again than to be asked for it.
    place: Option<Place>,
    /// Cancelled when the connection is given up.
    over: CancellationToken,
}

impl Settlement {
    /// Tells the broker what became of the delivery; returns when that is written to the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] where the connection that delivered it has gone. A tag means nothing on another one, and is
    /// never sent there.
    pub async fn settle(self, disposition: Disposition) -> Result<(), Error> {
        let settling = async {
            match disposition {
                Disposition::Ack => self.acker.ack(BasicAckOptions::default()).await,
                Disposition::Reject => self.acker.reject(BasicRejectOptions { requeue: false }).await,
                Disposition::Requeue => self.acker.reject(BasicRejectOptions { requeue: true }).await,
            }
        };
        // lapin leaves a settlement that meets the end of its connection unanswered: whoever waited only for that would
        // wait for ever.
        match self.over.run_until_cancelled(settling).await {
            Some(Ok(true)) => {
                if let Some(place) = self.place {
                    place.settled();
                }
                Ok(())
            }
            Some(Ok(false) | Err(_)) | None => Err(Error::Lost),
        }
    }

    /// Whether the connection that delivered it has gone: the broker delivers the message again.
    #[must_use]
    pub(in crate::transport) fn is_lost(&self) -> bool {
        self.over.is_cancelled() || !self.acker.usable()
    }
}

/// A delivery as it is handed on, with its place where it is from a stream, by a connection that says when it is given
/// up.
pub(super) fn delivery(delivery: lapin::message::Delivery, place: Option<Place>, over: CancellationToken) -> Delivery {
    let headers = delivery.properties.headers().as_ref();
    let compression = headers.and_then(|table| table.inner().get(COMPRESSION)).and_then(|value| match value {
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
    let settlement = Settlement { acker: delivery.acker, place, over };
    Delivery { message, settlement: transport::Settlement::Rabbit(settlement) }
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, types::FieldTable};

    use super::*;

    fn arrived(properties: BasicProperties) -> Delivery {
        let mut mock = lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        mock.properties = properties;
        delivery(mock, None, CancellationToken::new())
    }

    #[test]
    fn content_type_and_compression_come_along() {
        let mut headers = FieldTable::default();
        headers.insert("compression".into(), AMQPValue::LongString("application/x-gzip".into()));
        let properties = BasicProperties::default().with_content_type("application/json".into()).with_headers(headers);
        let message = arrived(properties).message;
        assert_eq!(message.body, b"{}");
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

    #[tokio::test]
    async fn nothing_is_settled_on_a_connection_that_was_given_up() {
        let over = CancellationToken::new();
        let mock = || lapin::message::Delivery::mock(7, "nova".into(), "t".into(), true, b"{}".to_vec());
        let (kept, lost) =
            (delivery(mock(), None, over.clone()).settlement, delivery(mock(), None, over.clone()).settlement);
        assert!(!lost.is_lost());
        assert!(kept.settle(Disposition::Ack).await.is_ok());
        over.cancel();
        assert!(lost.is_lost());
        assert!(matches!(lost.settle(Disposition::Ack).await, Err(Error::Lost)));
    }
}
