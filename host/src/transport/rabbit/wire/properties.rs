//! What a message carries beside its body, read and copied.
//!
//! Before it: [`super::super::consume`] has a delivery. After it: [`super::super::publish`] sends a message, or a copy of one.

use std::time::{Duration, SystemTime};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::{declare, size};
use crate::{
    compression::Compression,
    transport::{
        message::{Carried, Header, Headers, Message, NOT_COPIED},
        publication::{Copied, Lifetime},
    },
};

/// AMQP's `delivery-mode` for messages that survive a restart where their queue does; the reference's for all.
const PERSISTENT: u8 = 2;

/// RabbitMQ's longest `expiration`, in milliseconds; more closes the channel.
const MAX_EXPIRATION: u128 = u32::MAX as u128;

/// The header that names a compression: kombu's.
pub(crate) const COMPRESSION: &str = "compression";

/// The header in which RabbitMQ writes when a message came, in milliseconds, where `message_interceptors` has it do so. The
/// property is in seconds.
const TIMESTAMP: &str = "timestamp_in_ms";

/// The header of a copy that says that others were left out, for there was no room for all of them.
const LEFT_OUT: &str = "x-nova-host-left-out";

/// What a delivered message carried.
#[derive(Clone, Debug)]
pub(crate) struct Properties(Box<BasicProperties>);

impl Properties {
    pub(crate) fn new(properties: BasicProperties) -> Self {
        Self(Box::new(properties))
    }

    pub(crate) fn get(&self) -> &BasicProperties {
        &self.0
    }
}

/// A delivered message, but for where it came from and how often it was tried.
pub(crate) fn message(properties: BasicProperties, body: Vec<u8>, redelivered: bool) -> Message {
    let headers = headers(&properties);
    Message {
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        compression: match headers.get(COMPRESSION) {
            Some(Header::Text(text)) => Some(text.clone()),
            Some(Header::Number(_)) | None => None,
        },
        expiration: expiration(&properties),
        sent: sent(&properties, &headers),
        redelivered,
        headers,
        carried: Some(Carried::new(Properties::new(properties))),
        body: body.into(),
        ..Message::default()
    }
}

/// The headers that are strings or integers.
fn headers(properties: &BasicProperties) -> Headers {
    let Some(table) = properties.headers() else { return Headers::new() };
    let known = table.inner().iter().filter_map(|(name, value)| Some((name.to_string(), header(value)?)));
    known.collect()
}

fn header(value: &AMQPValue) -> Option<Header> {
    Some(match value {
        AMQPValue::LongString(text) => Header::Text(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Header::Text(text.to_string()),
        AMQPValue::ShortShortInt(number) => Header::Number((*number).into()),
        AMQPValue::ShortShortUInt(number) => Header::Number((*number).into()),
        AMQPValue::ShortInt(number) => Header::Number((*number).into()),
        AMQPValue::ShortUInt(number) => Header::Number((*number).into()),
        AMQPValue::LongInt(number) => Header::Number((*number).into()),
        AMQPValue::LongUInt(number) => Header::Number((*number).into()),
        AMQPValue::LongLongInt(number) => Header::Number(*number),
        _ => return None,
    })
}

/// When the message was sent.
fn sent(properties: &BasicProperties, headers: &Headers) -> Option<SystemTime> {
    let since = match headers.get(TIMESTAMP) {
        Some(Header::Number(milliseconds)) => Duration::from_millis(u64::try_from(*milliseconds).ok()?),
        Some(Header::Text(_)) | None => Duration::from_secs((*properties.timestamp())?),
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// How long the message may wait in a queue: milliseconds, as text.
pub(crate) fn expiration(properties: &BasicProperties) -> Option<Duration> {
    let milliseconds = properties.expiration().as_ref()?.as_str().parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

/// The properties of every message of our own, exactly the reference's, and more headers where it has any.
pub(crate) fn of_own(
    expiration: Option<Duration>,
    compression: Option<Compression>,
    more: &[(&'static str, String)],
) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in more {
        headers.insert((*name).into(), AMQPValue::LongString(value.as_str().into()));
    }
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
    match expiration {
        Some(expiration) => properties.with_expiration(milliseconds(expiration).into()),
        None => properties,
    }
}

/// A duration as AMQP's `expiration` has it.
fn milliseconds(duration: Duration) -> String {
    duration.as_millis().min(MAX_EXPIRATION).to_string()
}

/// What a copy carries: all that its original did, but for [`NOT_COPIED`], and for the user id, which the broker would
/// refuse from anybody else. Its header frame has at most `frame_max` bytes: what there is no room for is left out, the
/// original's largest headers first, and [`LEFT_OUT`] says so.
pub(crate) fn of_copy(copied: &Copied, frame_max: usize) -> BasicProperties {
    let nothing = BasicProperties::default();
    let original = copied.carried.as_ref().and_then(Carried::get::<Properties>).map_or(&nothing, |kept| &*kept.0);
    let mut properties = BasicProperties::default();
    macro_rules! keep {
        ($($get:ident $set:ident),* $(,)?) => {$(
            if let Some(value) = original.$get() {
                properties = properties.$set(value.clone());
            }
        )*};
    }
    keep!(
        content_type with_content_type,
        content_encoding with_content_encoding,
        delivery_mode with_delivery_mode,
        priority with_priority,
        correlation_id with_correlation_id,
        reply_to with_reply_to,
        message_id with_message_id,
        timestamp with_timestamp,
        kind with_type,
        app_id with_app_id,
    );
    match (copied.lifetime, original.expiration()) {
        (Lifetime::Same, Some(expiration)) => properties = properties.with_expiration(expiration.clone()),
        (Lifetime::Left(left), Some(_)) => properties = properties.with_expiration(milliseconds(left).into()),
        (Lifetime::Unbounded, _) | (_, None) => {}
    }
    let table = table_of_copy(original, copied, frame_max.saturating_sub(4 + size::header_frame(&properties)));
    properties.with_headers(table)
}

/// The headers of a copy, of at most `room` bytes.
fn table_of_copy(original: &BasicProperties, copied: &Copied, room: usize) -> FieldTable {
    let added = copied.added.iter().filter_map(|(name, value)| {
        let value = match value {
            Header::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Header::Number(number) => AMQPValue::LongLongInt(*number),
        };
        // All names are our own, and short.
        Some((declare::short(name).ok()?, value))
    });
    let others = original.headers().iter().flat_map(|table| table.inner());
    let mut others: Vec<_> = others
        .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()))
        // What is added says it anew.
        .filter(|(name, _)| copied.added.iter().all(|(added, _)| name.as_str() != *added))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    others.sort_by_cached_key(|(name, value)| size::entry(name.as_str(), value));
    let length: usize =
        added.clone().chain(others.iter().cloned()).map(|(name, value)| size::entry(name.as_str(), &value)).sum();
    let mut table = FieldTable::default();
    let mut left = room;
    if length > room {
        let mark = AMQPValue::Boolean(true);
        left = left.saturating_sub(size::entry(LEFT_OUT, &mark));
        table.insert(LEFT_OUT.into(), mark);
    }
    for (name, value) in added.chain(others) {
        if let Some(rest) = left.checked_sub(size::entry(name.as_str(), &value)) {
            left = rest;
            table.insert(name, value);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{
        copy,
        destination::Destination,
        message::{ATTEMPTS, Message},
    };

    /// What a broker and a client agree on where nobody configures it.
    const FRAME_MAX: usize = 131_072;

    fn original() -> Message {
        let mut table = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        table.insert("compression".into(), text("application/x-gzip"));
        table.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()));
        table.insert("CC".into(), AMQPValue::FieldArray(vec![text("elsewhere")].into()));
        table.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(3));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2)
            .with_correlation_id("c".into())
            .with_user_id("somebody".into())
            .with_expiration("60000".into())
            .with_headers(table);
        let mut message = Message { headers: headers(&properties), ..Message::default() };
        message.carried = Some(Carried::new(Properties::new(properties)));
        message
    }

    fn names(properties: &BasicProperties) -> Vec<String> {
        properties.headers().iter().flat_map(|table| table.inner().keys()).map(ToString::to_string).collect()
    }

    fn copied(copy: &crate::transport::Publication, frame_max: usize) -> BasicProperties {
        of_copy(copy.copied.as_ref().unwrap(), frame_max)
    }

    #[test]
    fn a_copy_never_exceeds_a_frame_and_keeps_what_is_ours_longest() {
        let mut table = FieldTable::default();
        table.insert("large".into(), AMQPValue::LongString("x".repeat(100_000).into()));
        table.insert("small".into(), AMQPValue::LongString("y".into()));
        let properties = BasicProperties::default().with_headers(table);
        let message = Message { carried: Some(Carried::new(Properties::new(properties))), ..Message::default() };
        let copy = copy::again(&message);
        let names_within = |frame_max| {
            let copied = copied(&copy, frame_max);
            assert!(size::header_frame(&copied) <= frame_max, "{frame_max}");
            names(&copied).len()
        };
        assert_eq!(names_within(FRAME_MAX), 5);
        assert_eq!(names_within(100_000), 5, "one is left out, and that is said");
        for frame_max in 60..600 {
            names_within(frame_max);
        }
        assert_eq!(headers(&copied(&copy, 4096)).get(ATTEMPTS), Some(&Header::Number(0)));
    }

    #[test]
    fn a_copy_carries_what_its_original_did_and_goes_nowhere_else() {
        let message = original();
        let added = vec![("x-why", Header::Text("because".to_owned()))];
        let copied = copied(&copy::of(&message, Destination::Queue("q".into()), added, Lifetime::Unbounded), FRAME_MAX);
        assert_eq!(names(&copied), ["compression", "x-death", "x-why"]);
        assert_eq!(copied.content_type().as_ref().map(|text| text.as_str()), Some("application/json"));
        assert_eq!(copied.content_encoding().as_ref().map(|text| text.as_str()), Some("utf-8"));
        assert_eq!(copied.correlation_id().as_ref().map(|text| text.as_str()), Some("c"));
        assert_eq!((copied.delivery_mode(), copied.user_id(), copied.expiration()), (&Some(2), &None, &None));
    }

    #[test]
    fn what_is_added_to_a_copy_is_said_anew_where_its_original_said_it() {
        let message = original();
        let added = vec![("x-death", Header::Number(2)), ("x-why", Header::Number(3))];
        let copy = copy::of(&message, Destination::Queue("q".into()), added, Lifetime::Same);
        let headers = headers(&copied(&copy, FRAME_MAX));
        assert_eq!(
            (headers.get("x-death"), headers.get("x-why")),
            (Some(&Header::Number(2)), Some(&Header::Number(3)))
        );
    }

    #[test]
    fn a_copy_for_the_same_queue_expires_as_its_original() {
        let mut message = original();
        message.attempts.earlier = 4;
        let copied = copied(&copy::again(&message), FRAME_MAX);
        assert_eq!(copied.expiration().as_ref().map(|text| text.as_str()), Some("60000"));
        assert_eq!(expiration(&copied), Some(Duration::from_secs(60)));
        assert_eq!(headers(&copied).get(ATTEMPTS), Some(&Header::Number(4)));
    }

    #[test]
    fn integers_of_every_size_are_read() {
        let mut table = FieldTable::default();
        for (name, value) in [
            ("a", AMQPValue::ShortShortInt(1)),
            ("b", AMQPValue::ShortUInt(1)),
            ("c", AMQPValue::LongInt(1)),
            ("d", AMQPValue::LongUInt(1)),
            ("e", AMQPValue::LongLongInt(1)),
        ] {
            table.insert(name.into(), value);
        }
        let headers = headers(&BasicProperties::default().with_headers(table));
        assert_eq!(headers.len(), 5);
        assert!(headers.values().all(|header| *header == Header::Number(1)));
    }
}
