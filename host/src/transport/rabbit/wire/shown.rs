//! All that a message carries beside its body, as JSON.
//!
//! Before it: [`super::properties`] has read it. After it: who writes samples of messages.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Map, Value, json};

/// How deep a header is shown. What is deeper is left out.
const MAX_DEPTH: usize = 16;

/// The properties by AMQP's names, headers among them; those that are not there are left out.
pub(crate) fn properties(properties: &BasicProperties) -> Value {
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(|text| json!(text.as_str()));
    let known = [
        ("content_type", text(properties.content_type())),
        ("content_encoding", text(properties.content_encoding())),
        ("headers", properties.headers().as_ref().map(|headers| table(headers, MAX_DEPTH))),
        ("delivery_mode", properties.delivery_mode().map(Value::from)),
        ("priority", properties.priority().map(Value::from)),
        ("correlation_id", text(properties.correlation_id())),
        ("reply_to", text(properties.reply_to())),
        ("expiration", text(properties.expiration())),
        ("message_id", text(properties.message_id())),
        ("timestamp", properties.timestamp().map(Value::from)),
        ("type", text(properties.kind())),
        ("user_id", text(properties.user_id())),
        ("app_id", text(properties.app_id())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}

fn table(table: &FieldTable, depth: usize) -> Value {
    table.inner().iter().map(|(name, value)| (name.to_string(), shown(value, depth))).collect::<Map<_, _>>().into()
}

fn shown(value: &AMQPValue, depth: usize) -> Value {
    let Some(below) = depth.checked_sub(1) else { return json!("…") };
    match value {
        AMQPValue::Boolean(on) => json!(on),
        AMQPValue::ShortShortInt(number) => json!(number),
        AMQPValue::ShortShortUInt(number) => json!(number),
        AMQPValue::ShortInt(number) => json!(number),
        AMQPValue::ShortUInt(number) => json!(number),
        AMQPValue::LongInt(number) => json!(number),
        AMQPValue::LongUInt(number) => json!(number),
        AMQPValue::LongLongInt(number) => json!(number),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::Float(number) => json!(number),
        AMQPValue::Double(number) => json!(number),
        AMQPValue::DecimalValue(number) => json!({"scale": number.scale, "value": number.value}),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::ByteArray(bytes) => json!(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(|value| shown(value, below)).collect(),
        AMQPValue::FieldTable(inner) => table(inner, below),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_shown_and_depth_is_bounded() {
        let mut deep = AMQPValue::Boolean(true);
        for _ in 0..1000 {
            deep = AMQPValue::FieldArray(vec![deep].into());
        }
        let mut headers = FieldTable::default();
        headers.insert("deep".into(), deep);
        headers.insert("compression".into(), AMQPValue::LongString("application/x-gzip".into()));
        let shown = properties(&BasicProperties::default().with_priority(0).with_headers(headers));
        assert_eq!((&shown["priority"], &shown["headers"]["compression"]), (&json!(0), &json!("application/x-gzip")));
        assert!(shown.get("expiration").is_none());
        assert!(shown["headers"]["deep"].to_string().len() < 100);
    }
}
