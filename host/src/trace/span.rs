//! One span of a request: a handle that is nothing where nothing is recorded.
//!
//! Before it: [`super::tracer`] has begun the request's. The stages make children of it, mark them, and write them into what is
//! sent; [`Said`] keeps what they say. After it: the last handle is dropped, and the span goes to the [`Queue`], also where its
//! request is given up.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    otlp::{self, SpanKind},
    propagation::{Carried, TraceContext, write},
    queue::Queue,
    said::Said,
    value::Value,
};
use crate::envelope;

/// Spans of one request: more than it takes to see what a handler does, and no flood of a handler that asks in a loop.
const MAX_SPANS: u32 = 1000;

/// Of those, what is left to the host: a handler that asks for too much is still seen to end.
const OWN_SPANS: u32 = 16;

/// What the keys begin with that a guest may not set.
const OWN: &str = "nova_host.";

/// A span. Clones are the same; it ends when it is told to, or with its last clone.
#[derive(Clone, Debug, Default)]
pub struct Span(Held);

#[derive(Clone, Debug, Default)]
enum Held {
    /// Nothing is known of any trace.
    #[default]
    Nothing,
    /// It is not recorded here; what was known of it goes on.
    Passing(Arc<Passing>),
    Recorded(Arc<Recorded>),
}

/// What goes on of a trace that is not recorded.
#[derive(Debug)]
struct Passing {
    context: TraceContext,
    headers: Carried,
    /// Whether it is written into the context of requests, too; else what stands there stays as it is.
    is_written: bool,
}

/// A span that is recorded.
struct Recorded {
    request: Arc<OfRequest>,
    context: TraceContext,
    parent: Option<[u8; 8]>,
    kind: Kind,
    said: Mutex<Said>,
}

/// What the spans of one request share.
struct OfRequest {
    queue: Arc<Queue>,
    spans: AtomicU32,
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work in this service.
    Internal,
    /// A request to another whose answer is waited for, over another protocol than messages.
    Client,
    /// A message that is sent.
    Producer,
    /// A message that was received.
    Consumer,
}

impl Span {
    /// One that is not recorded, of a trace that goes on: `headers` are set on what is sent, and `is_written` says whether
    /// the context of requests has it, too.
    pub(super) fn passing(context: TraceContext, headers: Carried, is_written: bool) -> Self {
        Self(Held::Passing(Arc::new(Passing { context, headers, is_written })))
    }

    /// The first of a request that is recorded, below its caller's.
    pub(super) fn first(queue: &Arc<Queue>, context: TraceContext, parent: Option<[u8; 8]>, name: &str) -> Self {
        let request = Arc::new(OfRequest { queue: Arc::clone(queue), spans: AtomicU32::new(1) });
        Self(Held::Recorded(Arc::new(Recorded {
            request,
            context,
            parent,
            kind: Kind::Consumer,
            said: Mutex::new(Said::new(name)),
        })))
    }

    /// One below it, which begins now. Beyond [`MAX_SPANS`] of a request it is not recorded.
    #[must_use]
    pub fn child<N: Into<Cow<'static, str>>>(&self, name: impl FnOnce() -> N, kind: Kind) -> Self {
        self.below(name, kind, MAX_SPANS)
    }

    /// The same for what a guest asks for, which leaves room for [`OWN_SPANS`] of the host's.
    #[must_use]
    pub fn asked<N: Into<Cow<'static, str>>>(&self, name: impl FnOnce() -> N, kind: Kind) -> Self {
        self.below(name, kind, MAX_SPANS - OWN_SPANS)
    }

    fn below<N: Into<Cow<'static, str>>>(&self, name: impl FnOnce() -> N, kind: Kind, most: u32) -> Self {
        let Held::Recorded(above) = &self.0 else { return self.clone() };
        let one_more = |spans| if spans < most { Some(spans + 1) } else { None };
        let has_room = above.request.spans.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        let Some(context) = above.context.below().filter(|_| has_room) else {
            above.request.queue.left_out();
            return Self::passing(above.context.clone(), above.context.carried(), true);
        };
        let said = Mutex::new(Said::new(&name().into()));
        let (request, parent) = (Arc::clone(&above.request), Some(above.context.span));
        Self(Held::Recorded(Arc::new(Recorded { request, context, parent, kind, said })))
    }

    /// Whether anybody will see what is said of it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        matches!(self.0, Held::Recorded(_))
    }

    /// Says something of it, where it is recorded.
    pub fn note(&self, note: impl FnOnce(&Self)) {
        if self.is_recorded() {
            note(self);
        }
    }

    /// Sets an attribute of the host's. A value that is none says nothing.
    pub fn set(&self, key: &'static str, value: impl Into<Option<Value>>) {
        if let (Held::Recorded(recorded), Some(value)) = (&self.0, value.into()) {
            recorded.say(|said| said.set(key, value));
        }
    }

    /// Sets an attribute of a guest's: one that the host has set stays as it is.
    pub fn attribute(&self, key: &str, value: Value) {
        let Held::Recorded(recorded) = &self.0 else { return };
        recorded.say(|said| {
            if key.is_empty() || key.starts_with(OWN) {
                said.leave_out();
            } else {
                said.attribute(key, value);
            }
        });
    }

    /// Notes that something has happened now.
    pub fn event(&self, name: &str, attributes: &[(String, Value)]) {
        let Held::Recorded(recorded) = &self.0 else { return };
        recorded.say(|said| said.event(name, attributes));
    }

    /// Another span has to do with it.
    pub(super) fn link(&self, other: &TraceContext) {
        let Held::Recorded(recorded) = &self.0 else { return };
        let link = otlp::Link {
            trace_id: other.trace.to_vec(),
            span_id: other.span.to_vec(),
            trace_state: other.state().unwrap_or_default().to_owned(),
            flags: other.flags(),
        };
        recorded.say(|said| said.link(link));
    }

    /// It came to nothing, and why, in a word: the class of an exception, never its message, which may hold what a caller has
    /// sent.
    pub fn fail(&self, why: &str) {
        let Held::Recorded(recorded) = &self.0 else { return };
        recorded.say(|said| {
            said.fail(why);
        });
    }

    /// It begins only now.
    pub fn begin(&self) {
        if let Held::Recorded(recorded) = &self.0 {
            recorded.say(Said::begin);
        }
    }

    /// It ends now, whoever still holds it.
    pub fn end(&self) {
        if let Held::Recorded(recorded) = &self.0 {
            recorded.say(Said::end);
        }
    }

    /// The id of the trace, for the log; also where it is not recorded here.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        match &self.0 {
            Held::Nothing => None,
            Held::Passing(passing) => Some(passing.context.trace_id()),
            Held::Recorded(recorded) => Some(recorded.context.trace_id()),
        }
    }

    /// The ids of the trace and of the span, in hexadecimal digits, and W3C's flags; where it is not recorded here, its caller's span.
    #[must_use]
    pub fn w3c(&self) -> Option<(String, String, u8)> {
        let context = match &self.0 {
            Held::Nothing => return None,
            Held::Passing(passing) => &passing.context,
            Held::Recorded(recorded) => &recorded.context,
        };
        Some((context.trace_id(), context.span_id(), u8::from(context.is_sampled())))
    }

    /// Writes it into the context of a request that is sent because of it, and gives the headers that the request has.
    #[must_use]
    pub fn carry(&self, context: &mut envelope::Context) -> Vec<(&'static str, String)> {
        let carried = match &self.0 {
            Held::Nothing => return Vec::new(),
            Held::Passing(passing) if !passing.is_written => return passing.headers.clone(),
            Held::Passing(passing) => passing.headers.clone(),
            Held::Recorded(recorded) => recorded.context.carried(),
        };
        write(&carried, context);
        carried
    }

    /// The headers of an HTTP request that is sent because of it.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match &self.0 {
            Held::Nothing => Vec::new(),
            Held::Passing(passing) => passing.context.carried(),
            Held::Recorded(recorded) => recorded.context.carried(),
        }
    }
}

impl Recorded {
    fn say(&self, say: impl FnOnce(&mut Said)) {
        // A panic while the lock was held cannot leave more than an attribute half-said.
        say(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("trace", &self.context.trace_id()).finish_non_exhaustive()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let mut span = otlp::Span {
            trace_id: self.context.trace.to_vec(),
            span_id: self.context.span.to_vec(),
            trace_state: self.context.state().unwrap_or_default().to_owned(),
            parent_span_id: self.parent.map(Vec::from).unwrap_or_default(),
            kind: self.kind.into(),
            flags: self.context.flags(),
            ..otlp::Span::default()
        };
        self.say(|said| said.tell(&mut span));
        self.request.queue.put(span);
    }
}

impl From<Kind> for i32 {
    fn from(kind: Kind) -> Self {
        let kind = match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        };
        kind.into()
    }
}
