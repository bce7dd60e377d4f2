//! What the trace of a request says of its way through the corridor.
//!
//! Before it: [`super::work`] knows what has happened. After it: [`crate::trace`].

use super::Corridor;
use crate::{
    catalog::Generation,
    envelope::Request,
    metrics::ReplyFate,
    reply::Verdict,
    trace::{Kind, Span, Value},
    transport::{Message, Origin},
};

/// The attribute that says in a word what became of a request.
pub(super) const OUTCOME: &str = "nova_host.outcome";

impl Corridor {
    /// Begins what is recorded of a request.
    pub(super) fn receives(&self, request: &Request, message: &Message) -> Span {
        let span = self.tracer.receive(request, &message.headers);
        span.note(|span| {
            span.set("messaging.destination.name", Value::from(destination(&message.origin)));
            span.set("nova_host.attempts", (message.attempts.earlier > 0).then(|| message.attempts.earlier.into()));
        });
        span
    }

    /// Counts what became of a reply, and ends what is recorded of it.
    pub(super) fn replied(&self, span: Span, fate: ReplyFate) {
        self.metrics.reply(fate);
        span.set("nova_host.fate", Value::from(fate.as_str()));
        if fate == ReplyFate::Dropped {
            span.fail(fate.as_str());
        }
        span.end();
    }
}

/// A handler was found.
pub(super) fn found(span: &Span, generation: &Generation) {
    span.note(|span| {
        span.set("nova_host.handler", Value::from(generation.name.as_str()));
        span.set("nova_host.digest", Value::from(generation.program.digest().short()));
        span.set("nova_host.generation", Value::from(generation.number));
    });
}

/// What its caller is told.
pub(super) fn ends(span: &Span, verdict: &Verdict) {
    span.note(|span| {
        span.set(OUTCOME, Value::from(verdict.name.as_str()));
        if let Some(failure) = verdict.answer.failure() {
            span.fail(&failure.class);
        }
    });
}

/// It goes on to the service behind this one.
pub(super) fn goes_on(span: &Span, why: &'static str, exchange: &str, key: &str) -> Span {
    let on = span.child(|| "forward", Kind::Producer);
    on.note(|on| {
        on.set("nova_host.why", Value::from(why));
        on.set("messaging.system", Value::from("rabbitmq"));
        on.set("messaging.destination.name", Value::from(format!("{exchange}:{key}")));
    });
    on
}

/// What a message was published with: the routing key, which is a topic, or one server of it; of a fanout the exchange.
fn destination(origin: &Origin) -> &str {
    if origin.routing_key.is_empty() { &origin.exchange } else { &origin.routing_key }
}
