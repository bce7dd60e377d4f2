//! What was said of one span so far.
//!
//! Before it: [`super::span`] has what the host and a guest say. After it: an [`otlp::Span`] has it. Everything that somebody else
//! has chosen (names, a guest's attributes) is bounded and made printable here, and nowhere else. What the host says itself is
//! not held against a guest's bounds, nor kept out by them: it says little.

use std::{
    mem,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    otlp::{self, KeyValue},
    value::Value,
};
use crate::printable::printable;

/// A guest's attributes of a span, and its events: OpenTelemetry's own bounds.
const MAX_COUNT: usize = 128;

/// Bytes of a name or a key.
const MAX_NAME: usize = 128;

/// Bytes of a value.
const MAX_VALUE: usize = 1024;

/// Bytes of all that a guest says of one span, with what it takes to keep it.
const MAX_BYTES: usize = 16 << 10;

/// What an attribute takes beside its key and value: with what allocations have before them.
const ATTRIBUTE: usize = size_of::<KeyValue>() + 16;

/// OTLP's code of an error.
const ERROR: i32 = 2;

/// What was said.
pub(super) struct Said {
    name: String,
    /// Nanoseconds since 1970.
    start: u64,
    /// The same by a clock that nobody sets.
    begun: Instant,
    /// Nanoseconds since 1970.
    end: Option<u64>,
    attributes: Vec<Attribute>,
    attributes_left_out: u32,
    events: Vec<otlp::Event>,
    events_left_out: u32,
    links: Vec<otlp::Link>,
    /// Bytes that a guest may still use.
    room: usize,
    error: Option<String>,
}

struct Attribute {
    said: KeyValue,
    /// Bytes of the room that it has; 0 where the host has said it.
    cost: usize,
}

impl Said {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: printable(name, MAX_NAME),
            start: now(),
            begun: Instant::now(),
            end: None,
            attributes: Vec::new(),
            attributes_left_out: 0,
            events: Vec::new(),
            events_left_out: 0,
            links: Vec::new(),
            room: MAX_BYTES,
            error: None,
        }
    }

    /// It begins only now.
    pub(super) fn begin(&mut self) {
        (self.start, self.begun) = (now(), Instant::now());
    }

    /// It ends now.
    pub(super) fn end(&mut self) {
        self.end = Some(self.at());
    }

    /// Sets an attribute of the host's.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.put(Attribute { said: said(key, value), cost: 0 });
    }

    /// Sets an attribute of a guest's, where there is room. What it replaces gives back its room.
    pub(super) fn attribute(&mut self, key: &str, value: Value) {
        let said = said(key, value);
        let cost = cost(&said);
        let given_back = self.known(&said.key).map_or(0, |known| known.cost);
        let has_place = given_back > 0 || self.attributes.iter().filter(|known| known.cost > 0).count() < MAX_COUNT;
        match (self.room + given_back).checked_sub(cost) {
            Some(room) if has_place => {
                self.put(Attribute { said, cost });
                self.room = room;
            }
            _ => self.leave_out(),
        }
    }

    /// Counts an attribute that is not kept.
    pub(super) fn leave_out(&mut self) {
        self.attributes_left_out = self.attributes_left_out.saturating_add(1);
    }

    /// Notes that something has happened now.
    pub(super) fn event(&mut self, name: &str, attributes: &[(String, Value)]) {
        let name = printable(name, MAX_NAME);
        let room = self.room.checked_sub(size_of::<otlp::Event>() + name.len());
        let Some(mut room) = room.filter(|_| self.events.len() < MAX_COUNT) else {
            self.events_left_out = self.events_left_out.saturating_add(1);
            return;
        };
        let fits = |(key, value): &(String, Value)| {
            let said = said(key, value.clone());
            room = room.checked_sub(cost(&said))?;
            Some(said)
        };
        let attributes = attributes.iter().take(MAX_COUNT).filter_map(fits).collect();
        self.room = room;
        self.events.push(otlp::Event { time_unix_nano: self.at(), name, attributes });
    }

    pub(super) fn link(&mut self, link: otlp::Link) {
        self.links.push(link);
    }

    /// It came to nothing, and why, in a word.
    pub(super) fn fail(&mut self, why: &str) {
        self.set("error.type", Value::Text(why.to_owned()));
        self.error = Some(printable(why, MAX_NAME));
    }

    /// Writes it all into a span that ends now, unless it has ended before.
    pub(super) fn tell(&mut self, span: &mut otlp::Span) {
        span.name = mem::take(&mut self.name);
        span.start_time_unix_nano = self.start;
        span.end_time_unix_nano = self.end.unwrap_or_else(|| self.at());
        span.attributes = mem::take(&mut self.attributes).into_iter().map(|attribute| attribute.said).collect();
        span.dropped_attributes_count = self.attributes_left_out;
        span.events = mem::take(&mut self.events);
        span.dropped_events_count = self.events_left_out;
        span.links = mem::take(&mut self.links);
        span.status = self.error.take().map(|message| otlp::Status { message, code: ERROR });
    }

    fn known(&mut self, key: &str) -> Option<&mut Attribute> {
        self.attributes.iter_mut().find(|known| known.said.key == key)
    }

    fn put(&mut self, attribute: Attribute) {
        match self.known(&attribute.said.key) {
            Some(known) => {
                let before = mem::replace(known, attribute);
                self.room += before.cost;
            }
            None => self.attributes.push(attribute),
        }
    }

    /// Now, in nanoseconds since 1970: clocks are set back, and it does not end before it has begun.
    fn at(&self) -> u64 {
        self.start.saturating_add(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// An attribute, bounded and printable.
fn said(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => otlp::Value::Text(printable(&text, MAX_VALUE)),
        Value::Integer(number) => otlp::Value::Integer(number),
        Value::Number(number) => otlp::Value::Number(number),
        Value::Truth(truth) => otlp::Value::Truth(truth),
    };
    KeyValue::new(printable(key, MAX_NAME), value)
}

/// Bytes that it takes to keep it.
fn cost(said: &KeyValue) -> usize {
    let text = match said.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(otlp::Value::Text(text)) => text.len(),
        _ => 0,
    };
    ATTRIBUTE + said.key.len() + text
}

/// Nanoseconds since 1970, until 2554.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_makes_no_span_shorter() {
        let mut said = Said::new("a");
        // An hour ahead, as it was before somebody has set it.
        said.start += 3_600_000_000_000;
        said.begun = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        said.event("e", &[]);
        let mut span = otlp::Span::default();
        said.tell(&mut span);
        for at in [span.end_time_unix_nano, span.events[0].time_unix_nano] {
            assert!(at >= span.start_time_unix_nano + 2_000_000_000, "{span:?}");
        }
    }
}
