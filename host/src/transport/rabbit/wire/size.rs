//! How long a message's header frame is.
//!
//! Before it: [`super::super::publish`] has the properties of a message. After it: nothing. A frame that is longer than
//! the two sides have agreed (`frame_max`) ends the whole connection (501), so it must not be sent. lapin sends it.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

/// Bytes of a frame around its payload: type, channel, size; and the end.
const AROUND: usize = 8;

/// Bytes of a header frame's payload before the properties: class, weight, size of the body, which properties there are.
const BEFORE: usize = 14;

/// The bytes of the header frame with these properties, all of it.
pub(crate) fn header_frame(properties: &BasicProperties) -> usize {
    let short = |text: &Option<lapin::types::ShortString>| text.as_ref().map_or(0, |text| 1 + text.as_str().len());
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let bytes = usize::from(properties.delivery_mode().is_some()) + usize::from(properties.priority().is_some());
    let timestamp = properties.timestamp().map_or(0, |_| 8);
    let headers = properties.headers().as_ref().map_or(0, |headers| 4 + table(headers));
    AROUND + BEFORE + texts.into_iter().map(short).sum::<usize>() + bytes + timestamp + headers
}

/// The bytes that a header takes in the table: its name, its type and its value.
pub(crate) fn entry(name: &str, content: &AMQPValue) -> usize {
    1 + name.len() + 1 + value(content)
}

fn table(table: &FieldTable) -> usize {
    table.inner().iter().map(|(name, value)| entry(name.as_str(), value)).sum()
}

/// Without the byte that says which type it is.
fn value(content: &AMQPValue) -> usize {
    match content {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => 4 + text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => 4 + values.as_slice().iter().map(|inner| 1 + value(inner)).sum::<usize>(),
        AMQPValue::FieldTable(inner) => 4 + table(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        // Type, channel, size; class, weight, size of the body, flags; end.
        assert_eq!(header_frame(&BasicProperties::default()), 7 + 14 + 1);
        let with_texts = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_timestamp(7);
        assert_eq!(header_frame(&with_texts), 22 + 17 + 1 + 8);
        let mut inner = FieldTable::default();
        inner.insert("x".into(), AMQPValue::Boolean(true));
        let mut headers = FieldTable::default();
        headers.insert("text".into(), AMQPValue::LongString("four".into()));
        headers.insert("table".into(), AMQPValue::FieldTable(inner));
        headers.insert("list".into(), AMQPValue::FieldArray(vec![AMQPValue::LongLongInt(1), AMQPValue::Void].into()));
        let (text, table, list) = (5 + 1 + 4 + 4, 6 + 1 + 4 + 2 + 1 + 1, 5 + 1 + 4 + 9 + 1);
        let with_headers = BasicProperties::default().with_headers(headers);
        assert_eq!(header_frame(&with_headers), 22 + 4 + text + table + list);
    }
}
