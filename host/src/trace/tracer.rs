//! Decides which requests are recorded, and begins their spans.
//!
//! Before it: the configuration, and [`crate::serve`] with a request. After it: the request's first [`Span`].

use std::sync::Arc;

use super::{
    propagation::{Incoming, TraceContext},
    queue::Queue,
    sampler::Sampler,
    span::Span,
    value::Value,
};
use crate::{envelope::Request, transport::Headers};

/// Bytes of a method in a span's name.
const MAX_METHOD: usize = 100;

/// Who decides. Clones are the same; by default nothing is recorded.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    sampler: Sampler,
    queue: Arc<Queue>,
}

impl Tracer {
    pub(super) fn new(sampler: Sampler, queue: Queue) -> Self {
        Self(Some(Arc::new(On { sampler, queue: Arc::new(queue) })))
    }

    /// Begins the span of a request, below its caller's where that says whose trace it is. Where nothing is recorded, what the
    /// caller says goes on as it came.
    #[must_use]
    pub fn receive(&self, request: &Request, headers: &Headers) -> Span {
        let incoming = Incoming::read(&request.context, headers);
        let Some(on) = &self.0 else {
            return match incoming.parent {
                Some(parent) => Span::passing(parent, incoming.headers, false),
                None => Span::default(),
            };
        };
        on.begin(request, incoming)
    }
}

impl On {
    fn begin(&self, request: &Request, incoming: Incoming) -> Span {
        let Incoming { parent, other, .. } = incoming;
        let is_from_caller = parent.is_some();
        let Some(context) = parent.clone().or_else(TraceContext::fresh) else { return Span::default() };
        if !self.sampler.takes(&context, is_from_caller) {
            // So that nobody behind decides anew.
            let context = context.sampled(false);
            let carried = context.carried();
            return Span::passing(context, carried, true);
        }
        let context = if is_from_caller { context.below() } else { Some(context) };
        let Some(context) = context else { return Span::default() };
        let method = request.method.to_string();
        let shown = crate::printable::printed(&method, MAX_METHOD);
        let name = format!("{shown} receive");
        let span = Span::first(&self.queue, context.sampled(true), parent.map(|parent| parent.span), &name);
        if let Some(other) = other {
            span.link(&other);
        }
        let text = |text: &str| Value::Text(text.to_owned());
        span.set("messaging.system", text("rabbitmq"));
        span.set("messaging.operation", text("receive"));
        span.set("rpc.method", text(&shown));
        span.set("rpc.service", request.namespace.text().map(text));
        span.set("messaging.message.id", request.reply_to.as_ref().map(|to| text(&to.message_id)));
        span.set("openstack.request_id", request.context.get_str("request_id").map(Value::Text));
        span
    }
}

#[cfg(test)]
#[path = "tracer_tests.rs"]
mod tests;
