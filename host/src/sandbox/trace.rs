//! The import `trace`: what a guest adds to the span in which it runs.
//!
//! Before it: the guest, whose keys and texts are made printable and bounded here, and counted. After it: the [`Marks`] of the
//! request, which are the span's, and the log, which has all of it at the level of debugging. Without either, nothing is kept.

use std::{collections::HashSet, fmt};

use wasmtime::component::HasData;

use super::{
    bindings::trace::{self, Attribute, Host, SpanContext},
    log::Log,
    tape::{Tape, nothing},
};
use crate::{
    printable::printed,
    trace::{Span, Value},
};

/// Attributes of a request: OpenTelemetry's default, as are the next two but for the size.
/// <https://opentelemetry.io/docs/specs/otel/common/#configurable-parameters>
const MAX_ATTRIBUTES: usize = 128;

/// Events of a request.
const MAX_EVENTS: usize = 128;

/// Attributes of an event. OpenTelemetry has 128; the events of a request may then have 300 MiB.
const MAX_EVENT_ATTRIBUTES: usize = 16;

/// Bytes of a key, and of an event's name.
const MAX_KEY: usize = 64;

/// Bytes of a text.
const MAX_TEXT: usize = 1024;

/// What the keys of the host's own attributes begin with.
const RESERVED: [&str; 4] = ["nova_host.", "messaging.", "rpc.", "otel."];

/// What ties a request to its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// 32 hexadecimal digits in lower case.
    pub trace: String,
    /// 16 hexadecimal digits in lower case.
    pub span: String,
    /// W3C's flags: 1 is sampled.
    pub flags: u8,
}

/// Where what a guest adds to its span goes. It is given what is printable and bounded, at most 128 attributes and 128 events
/// of a request.
pub trait Marks: Send + fmt::Debug {
    /// Whether the span is sampled: what is added to another is for nobody.
    fn recording(&self) -> bool;

    /// What ties the request to its trace, where it is part of one.
    fn ids(&self) -> Option<Ids>;

    /// Adds an attribute, or gives one that is there a new value.
    fn attribute(&mut self, key: &str, value: Value);

    /// Adds an event, with the time of now.
    fn event(&mut self, name: &str, attributes: Vec<(String, Value)>);
}

/// What a guest adds goes to the span of its run, where that is part of a trace.
#[must_use]
pub fn marks(run: &Span) -> Option<Box<dyn Marks>> {
    run.w3c().is_some().then(|| Box::new(run.clone()) as Box<dyn Marks>)
}

impl Marks for Span {
    fn recording(&self) -> bool {
        self.is_recorded()
    }

    fn ids(&self) -> Option<Ids> {
        self.w3c().map(|(trace, span, flags)| Ids { trace, span, flags })
    }

    fn attribute(&mut self, key: &str, value: Value) {
        Self::attribute(self, key, value);
    }

    fn event(&mut self, name: &str, attributes: Vec<(String, Value)>) {
        Self::event(self, name, &attributes);
    }
}

/// What is kept of one request.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Where it goes; `None` where nobody traces.
    marks: Option<Box<dyn Marks>>,
    /// Whether there is a request: what the host itself asks for is in no trace.
    is_request: bool,
    keys: HashSet<String>,
    events: usize,
    dropped: Dropped,
    tape: Tape,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dropped {
    attributes: usize,
    events: usize,
    event_attributes: usize,
    reserved: usize,
}

/// A request's trace, and its log, in which all of it is written.
pub(super) struct Traced<'a> {
    pub(super) trace: &'a mut Trace,
    pub(super) log: &'a mut Log,
}

/// How the linker finds both.
pub(super) struct OfRequest;

impl HasData for OfRequest {
    type Data<'a> = Traced<'a>;
}

impl Trace {
    /// Of a request, or of none.
    pub(super) fn new(marks: Option<Box<dyn Marks>>, is_request: bool) -> Self {
        let (keys, dropped, tape) = (HashSet::new(), Dropped::default(), Tape::default());
        Self { marks, is_request, keys, events: 0, dropped, tape }
    }

    /// The same for a request that is taped, or told from a tape.
    pub(super) fn taped(mut self, tape: Tape) -> Self {
        self.tape = tape;
        self
    }

    /// Where it goes, if anybody records it.
    fn sampled(&mut self) -> Option<&mut Box<dyn Marks>> {
        self.marks.as_mut().filter(|marks| marks.recording())
    }

    /// Whether there is room for an attribute of this key.
    fn may_have(&mut self, key: &str) -> bool {
        if self.keys.contains(key) {
            return true;
        }
        if key.is_empty() || RESERVED.iter().any(|reserved| key.starts_with(reserved)) {
            self.dropped.reserved += 1;
            return false;
        }
        if self.keys.len() >= MAX_ATTRIBUTES {
            self.dropped.attributes += 1;
            return false;
        }
        self.keys.insert(key.to_owned())
    }
}

/// Says what was left out, once for the request.
impl Drop for Trace {
    fn drop(&mut self) {
        if self.dropped != Dropped::default() {
            let Dropped { attributes, events, event_attributes, reserved } = self.dropped;
            tracing::debug!(
                target: super::log::TARGET,
                attributes, events, event_attributes, reserved,
                "too much for the request's trace, or not the handler's to say: left out"
            );
        }
    }
}

impl Traced<'_> {
    /// Whether anybody sees what is added.
    fn is_seen(&self) -> bool {
        let is_sampled = self.trace.marks.as_ref().is_some_and(|marks| marks.recording());
        self.trace.is_request && (is_sampled || Log::has_details())
    }

    /// A value as it is kept: none of the handler's secrets is in it.
    fn taken(&self, value: trace::Value) -> Value {
        match value {
            trace::Value::Text(text) => Value::Text(cut(&self.log.scrubbed(text, MAX_TEXT), MAX_TEXT)),
            trace::Value::Integer(number) => Value::Integer(number),
            trace::Value::Number(number) => Value::Number(number),
            trace::Value::Truth(is) => Value::Truth(is),
        }
    }

    /// A key or a name as it is kept.
    fn named(&self, name: String) -> String {
        cut(&self.log.scrubbed(name, MAX_KEY), MAX_KEY)
    }

    fn set(&mut self, key: String, value: trace::Value) {
        if !self.is_seen() {
            return;
        }
        let key = self.named(key);
        if !self.trace.may_have(&key) {
            return;
        }
        let value = self.taken(value);
        self.log.detail("attribute", || format!("{key}={value}"));
        if let Some(marks) = self.trace.sampled() {
            marks.attribute(&key, value);
        }
    }

    fn add(&mut self, name: String, attributes: Vec<Attribute>) {
        if !self.is_seen() {
            return;
        }
        if self.trace.events >= MAX_EVENTS {
            self.trace.dropped.events += 1;
            return;
        }
        self.trace.events += 1;
        self.trace.dropped.event_attributes += attributes.len().saturating_sub(MAX_EVENT_ATTRIBUTES);
        let name = self.named(name);
        let attributes = attributes.into_iter().take(MAX_EVENT_ATTRIBUTES);
        let attributes: Vec<(String, Value)> =
            attributes.map(|Attribute { key, value }| (self.named(key), self.taken(value))).collect();
        self.log.detail("event", || {
            let with: String = attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            format!("{name}:{with}")
        });
        if let Some(marks) = self.trace.sampled() {
            marks.event(&name, attributes);
        }
    }
}

impl Host for Traced<'_> {
    async fn get_span_context(&mut self) -> Option<SpanContext> {
        let ids = || self.trace.marks.as_ref()?.ids().map(|Ids { trace, span, flags }| (trace, span, flags));
        let import = "nova:rpc/trace.get-span-context";
        let (trace, span, flags) = self.trace.tape.notices(import, nothing, ids, |_, _| None)?;
        Some(SpanContext { trace_id: trace, span_id: span, trace_flags: flags })
    }

    async fn is_recording(&mut self) -> bool {
        self.trace.tape.notices("nova:rpc/trace.is-recording", nothing, || self.is_seen(), |_, _| false)
    }

    async fn set_attribute(&mut self, key: String, value: trace::Value) {
        self.set(key, value);
    }

    async fn add_event(&mut self, name: String, attributes: Vec<Attribute>) {
        self.add(name, attributes);
    }
}

/// Text as it may be shown, in at most so many bytes.
fn cut(text: &str, limit: usize) -> String {
    // One more, so that whoever escapes it sees that it goes on; and escapes only make it longer.
    let mut text = printed(text.get(..text.floor_char_boundary(limit + 4)).unwrap_or_default(), limit).into_owned();
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
