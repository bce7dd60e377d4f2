//! The end of the log, by handler, for those who look at the page.
//!
//! Before it: the log's lines, of which this is one more reader ([`crate::cli`] installs it where there is a page). After it:
//! [`super::board`]. Only what is logged is kept: what the levels in force leave out costs nothing, and what the log may not say
//! is not said here. Each handler has room of its own, so that none that is loud takes another's.

use std::{
    collections::{HashMap, VecDeque},
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

use crate::printable::printable;

/// Lines that are kept of a handler.
const MAX_LINES: usize = 200;

/// Bytes of them.
const MAX_BYTES: usize = 32 << 10;

/// Bytes of a line; the rest is in the log.
const MAX_LINE: usize = 2 << 10;

/// Handlers whose lines are kept. Beyond that, the one goes that has been silent for longest.
const MAX_HANDLERS: usize = 64;

/// Bytes of a name.
const MAX_NAME: usize = 128;

/// The field that says whose a line is, of the line itself or of the request in whose span it is written.
const HANDLER: &str = "handler";

/// The end of the log. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// The number of the last line.
    last: u64,
    by_handler: HashMap<String, Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Grows with each line of this process.
    pub number: u64,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// How loud: `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// Whose.
    pub handler: String,
    /// The request id of the request in which it was written.
    pub request_id: Option<String>,
    /// What it says: one line, with what is noted beside the message.
    pub text: String,
}

/// Whose request a span is.
#[derive(Clone, Debug, Default)]
struct Whose {
    handler: Option<String>,
    request_id: Option<String>,
}

impl Tail {
    /// The lines after this number, in order, and the number of the last.
    #[must_use]
    pub fn after(&self, number: u64) -> (Vec<Line>, u64) {
        let kept = self.kept();
        if kept.last <= number {
            return (Vec::new(), kept.last);
        }
        let rings = kept.by_handler.values();
        let mut lines: Vec<_> =
            rings.flat_map(|ring| ring.lines.iter().rev().take_while(|line| line.number > number)).cloned().collect();
        let last = kept.last;
        drop(kept);
        lines.sort_unstable_by_key(|line| line.number);
        (lines, last)
    }

    fn add(&self, level: &'static str, handler: String, request_id: Option<String>, text: String) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut kept = self.kept();
        kept.last += 1;
        let number = kept.last;
        if !kept.by_handler.contains_key(&handler) && kept.by_handler.len() >= MAX_HANDLERS {
            let newest = |(_, ring): &(&String, &Ring)| ring.lines.back().map(|line| line.number);
            let silent = kept.by_handler.iter().min_by_key(newest).map(|(handler, _)| handler.clone());
            silent.and_then(|handler| kept.by_handler.remove(&handler));
        }
        let ring = kept.by_handler.entry(handler.clone()).or_default();
        ring.bytes += text.len();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        ring.lines.push_back(Line { number, at_ms, level, handler, request_id, text });
        while ring.lines.len() > MAX_LINES || ring.bytes > MAX_BYTES {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.text.len();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tail {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().fields().field(HANDLER).is_none() {
            return;
        }
        let mut whose = Whose::default();
        attributes.record(&mut whose);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(whose);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(whose) = span.extensions_mut().get_mut::<Whose>() {
            values.record(whose);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut whose = event.metadata().fields().field(HANDLER).map(|_| Whose::default());
        if let Some(whose) = &mut whose {
            event.record(whose);
        }
        let spans = context.event_scope(event).into_iter().flatten();
        let around = spans.filter_map(|span| span.extensions().get::<Whose>().cloned()).next();
        let request_id = around.as_ref().and_then(|whose| whose.request_id.clone());
        let Some(handler) = whose.or(around).and_then(|whose| whose.handler) else { return };
        let mut words = Words::default();
        event.record(&mut words);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        let text = printable(&format!("{}{}", words.message, words.rest), MAX_LINE);
        self.add(level, handler, request_id, text);
    }
}

impl Visit for Whose {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            HANDLER => &mut self.handler,
            "request_id" => &mut self.request_id,
            _ => return,
        };
        *place = Some(printable(value, MAX_NAME));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A name that is shown with `%`.
        if matches!(field.name(), HANDLER | "request_id") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// What an event says.
#[derive(Default)]
struct Words {
    message: String,
    rest: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        // A message that is a text is shown as it is.
        if field.name() == "message" { self.message.push_str(value) } else { self.record_debug(field, &value) }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Into memory.
        let _written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            HANDLER => Ok(()),
            name => write!(self.rest, " {name}={value:?}"),
        };
    }
}
