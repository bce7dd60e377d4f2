//! What a message carries beside its body, read and copied.
//!
//! Before it: [`super::settle`] has a delivery. After it: [`super::message`] sends the copy.

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::declare;
use crate::transport::{Copy, Header, Headers, Lifetime, copy::NOT_COPIED};

/// What a delivered message carried.
#[derive(Clone, Debug)]
pub struct Properties(Box<BasicProperties>);

impl Properties {
    pub(super) fn new(properties: BasicProperties) -> Self {
        Self(Box::new(properties))
    }
}

/// The headers that are strings or integers.
pub(super) fn headers(properties: &BasicProperties) -> Headers {
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

/// How long the message may wait in a queue: milliseconds, as text.
pub(super) fn expiration(properties: &BasicProperties) -> Option<Duration> {
    let milliseconds = properties.expiration().as_ref()?.as_str().parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

/// What a copy carries: all that its original did, but for [`NOT_COPIED`], and for the user id, which the broker would
/// refuse from anybody else.
pub(super) fn of_copy(copy: &Copy<'_>) -> BasicProperties {
    let nothing = BasicProperties::default();
    let original = copy.message.properties.as_ref().map_or(&nothing, |properties| &*properties.0);
    let mut table = FieldTable::default();
    for (name, value) in original.headers().iter().flat_map(|table| table.inner()) {
        if !NOT_COPIED.contains(&name.as_str()) {
            table.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &copy.headers {
        let value = match value {
            Header::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Header::Number(number) => AMQPValue::LongLongInt(*number),
        };
        // All names are our own, and short.
        if let Ok(name) = declare::short(name) {
            table.insert(name, value);
        }
    }
    let mut properties = BasicProperties::default().with_headers(table);
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
    match (copy.lifetime, original.expiration()) {
        (Lifetime::Same, Some(expiration)) => properties.with_expiration(expiration.clone()),
        (Lifetime::Same, None) | (Lifetime::Unbounded, _) => properties,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Destination, Message, copy};

    fn original() -> Message {
        let mut table = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        table.insert("compression".into(), text("application/x-gzip"));
        table.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()));
        table.insert("CC".into(), AMQPValue::FieldArray(vec![text("elsewhere")].into()));
        table.insert(copy::ATTEMPTS.into(), AMQPValue::LongLongInt(3));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2)
            .with_correlation_id("c".into())
            .with_user_id("somebody".into())
            .with_expiration("60000".into())
            .with_headers(table);
        let mut message = Message { headers: headers(&properties), ..Message::default() };
        message.properties = Some(Properties::new(properties));
        message
    }

    fn names(properties: &BasicProperties) -> Vec<String> {
        properties.headers().iter().flat_map(|table| table.inner().keys()).map(ToString::to_string).collect()
    }

    #[test]
    fn a_copy_carries_what_its_original_did_and_goes_nowhere_else() {
        let message = original();
        let copied = of_copy(&Copy {
            message: &message,
            destination: Destination::Queue("q".into()),
            headers: [("x-why".to_owned(), Header::Text("because".to_owned()))].into(),
            lifetime: Lifetime::Unbounded,
        });
        assert_eq!(names(&copied), ["compression", "x-death", "x-why"]);
        assert_eq!(copied.content_type().as_ref().map(|text| text.as_str()), Some("application/json"));
        assert_eq!(copied.content_encoding().as_ref().map(|text| text.as_str()), Some("utf-8"));
        assert_eq!(copied.correlation_id().as_ref().map(|text| text.as_str()), Some("c"));
        assert_eq!((copied.delivery_mode(), copied.user_id(), copied.expiration()), (&Some(2), &None, &None));
    }

    #[test]
    fn a_copy_for_the_same_queue_expires_as_its_original() {
        let mut message = original();
        message.attempts.earlier = 4;
        let copied = of_copy(&copy::again(&message));
        assert_eq!(copied.expiration().as_ref().map(|text| text.as_str()), Some("60000"));
        assert_eq!(expiration(&copied), Some(Duration::from_secs(60)));
        assert_eq!(headers(&copied).get(copy::ATTEMPTS), Some(&Header::Number(4)));
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
