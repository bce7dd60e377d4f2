//! One message: its properties, and what its confirmation or its channel's end means.
//!
//! Before it: [`super::outbox`] has a channel for it. After it: the broker.

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};

use super::{
    declare, failure,
    publish::{Job, Parcel},
};
use crate::{
    compression::Compression,
    transport::{Publication, Routing},
};

/// AMQP's `delivery-mode` for messages that survive a restart where their queue does; the reference's for all.
const PERSISTENT: u8 = 2;

/// RabbitMQ's longest `expiration`, in milliseconds; more closes the channel.
const MAX_EXPIRATION: u128 = u32::MAX as u128;

/// The header that names a compression: kombu's.
pub(super) const COMPRESSION: &str = "compression";

/// From how many bytes on a body is compressed beside the runtime: xz and bzip2 take some 100 ms for a MiB.
const LARGE: usize = 16 << 10;

/// Makes a message of its own, compressed if that is asked for. Where that cannot be done it is sent as it is.
pub(super) async fn pack(
    publication: &Publication,
    compression: Option<Compression>,
) -> (Publication, Option<Compression>) {
    let mut publication = publication.clone();
    let Some(compression) = compression else { return (publication, None) };
    let compressed = if publication.body.len() < LARGE {
        compression.compress(&publication.body).ok()
    } else {
        let body = publication.body.clone();
        let compressed = tokio::task::spawn_blocking(move || compression.compress(&body).ok());
        compressed.await.ok().flatten()
    };
    let Some(body) = compressed else {
        tracing::error!(?compression, "a message cannot be compressed, sent as it is");
        return (publication, None);
    };
    publication.body = body.into();
    (publication, Some(compression))
}

/// Sends a message. Its number is taken when this is first polled, and its frames are queued in the same step.
pub(super) async fn send(channel: Channel, job: Job) -> (Job, lapin::Result<Confirmation>) {
    let Parcel { publication, properties, route } = &*job.parcel;
    let mandatory = publication.routing == Routing::Mandatory;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = match (declare::short(route.exchange_name()), declare::short(&route.key)) {
        (Ok(exchange), Ok(key)) => (exchange, key),
        // Checked before; the broker would say the same.
        (Err(_), _) | (_, Err(_)) => return (job, Ok(Confirmation::Ack(None))),
    };
    let published = channel.basic_publish(exchange, key, options, &publication.body, properties.clone());
    let confirmation = match published.await {
        Ok(confirmation) => confirmation.await,
        Err(error) => Err(error),
    };
    (job, confirmation)
}

/// The properties of every message of our own, exactly the reference's.
pub(super) fn properties(publication: &Publication, compression: Option<Compression>) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(compression) = compression {
        headers.insert(COMPRESSION.into(), AMQPValue::LongString(compression.header().into()));
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        // There even where it is empty.
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT)
        .with_priority(0);
    match publication.expiration {
        Some(expiration) => properties.with_expiration(expiration.as_millis().min(MAX_EXPIRATION).to_string().into()),
        None => properties,
    }
}

/// Why the broker closed the channel, where it was for this message: to send that again would be to lose the next
/// channel too, and every other message with it.
pub(super) fn blame(body_length: usize, exchange: &str, error: &lapin::Error) -> Option<String> {
    if !failure::is_of_channel(error) {
        return None;
    }
    let text = failure::text(error);
    if text.starts_with("ACCESS_REFUSED") && text.contains(&format!("exchange '{exchange}' ")) {
        Some(format!("{text}; give the user permission to write to it"))
    } else if text.contains(&format!("message size {} ", body_length)) {
        Some(format!("{text}; raise the broker's max_message_size"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use lapin::{ErrorKind, protocol::AMQPError};

    use super::*;
    use crate::transport::Destination;

    fn publication(expiration: Option<Duration>) -> Publication {
        let destination = Destination::Queue("reply".to_owned());
        Publication { destination, routing: Routing::Mandatory, expiration, body: Bytes::from_static(b"{}") }
    }

    fn broker_says(code: u16, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::from_id(code, text.into()).unwrap()).into()
    }

    #[test]
    fn properties_are_the_references_and_no_others() {
        let expected = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(FieldTable::default())
            .with_delivery_mode(2)
            .with_priority(0);
        assert_eq!(properties(&publication(None), None), expected);
        let sixty_seconds = expected.with_expiration("60000".into());
        assert_eq!(properties(&publication(Some(Duration::from_secs(60))), None), sixty_seconds);
    }

    #[tokio::test]
    async fn a_compressed_message_says_so_and_is_it() {
        for body in [Bytes::from_static(b"{}"), vec![b' '; 2 * LARGE].into()] {
            let plain = Publication { body, ..publication(None) };
            let (packed, compression) = pack(&plain, Some(Compression::Bzip2)).await;
            assert_eq!(Compression::Bzip2.decompress(&packed.body, 4 * LARGE).unwrap(), plain.body);
            let properties = properties(&packed, compression);
            let header = properties.headers().as_ref().and_then(|table| table.inner().get(COMPRESSION));
            assert_eq!(header, Some(&AMQPValue::LongString("application/x-bz2".into())));
        }
        assert_eq!(pack(&publication(None), None).await.1, None);
    }

    #[test]
    fn an_expiration_stays_within_what_the_broker_takes() {
        let properties = properties(&publication(Some(Duration::MAX)), None);
        assert_eq!(properties.expiration().as_ref().map(ToString::to_string).as_deref(), Some("4294967295"));
    }

    #[test]
    fn only_the_message_that_ended_a_channel_is_blamed() {
        let forbidden =
            broker_says(403, "ACCESS_REFUSED - access to exchange 'nova' in vhost '/' refused for user 'u'");
        assert!(blame(2, "nova", &forbidden).unwrap().contains("permission"));
        assert_eq!(blame(2, "nov", &forbidden), None);
        let large = "PRECONDITION_FAILED - message size 140 is larger than configured max size 128";
        assert!(blame(140, "", &broker_says(406, large)).unwrap().contains("max_message_size"));
        assert_eq!(blame(14, "", &broker_says(406, large)), None);
        assert_eq!(blame(2, "nova", &broker_says(404, "NOT_FOUND - no exchange 'nova' in vhost '/'")), None);
        assert_eq!(blame(140, "", &broker_says(320, "CONNECTION_FORCED - message size 140 ")), None);
    }
}
