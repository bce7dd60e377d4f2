//! What the trace of a request says of what its handler asks for: a span for each request that is sent, and for each look at its
//! state.
//!
//! Before it: [`super::Session`] has judged what is asked for. After it: [`crate::trace`]. Names of topics, methods and hosts are
//! there; arguments, keys, values, paths and contexts are not.

use super::{
    Error, Session,
    http::{self, Request},
    keyvalue,
    outgoing::Checked,
};
use crate::{
    client::Provenance,
    envelope::Context,
    trace::{HEADERS, Kind, Span, Value},
};

impl Session {
    /// Begins the span of a request that is sent, as oslo.messaging's client does.
    pub(super) fn sends(&self, operation: &'static str, request: &Checked, above: &Span) -> Span {
        let (to, method) = (&request.recipient, &request.method);
        let span = above.asked(|| format!("{}.{method}", to.topic), Kind::Producer);
        span.note(|span| {
            span.set("messaging.system", Value::from("rabbitmq"));
            span.set("messaging.operation", Value::from(operation));
            span.set("messaging.destination.name", Value::from(to.topic.as_str()));
            span.set("rpc.method", Value::from(method.as_str()));
            span.set("rpc.service", to.namespace.as_deref().map(Value::from));
            span.set("openstack.request_id", self.cause.context.get_str("request_id").map(Value::from));
            span.set("nova_host.broker", to.broker.as_deref().map(Value::from));
            span.set("nova_host.server", to.server.as_deref().map(Value::from));
            span.set("nova_host.fanout", request.fanout.then_some(Value::from(true)));
        });
        span
    }

    /// The context that goes on with a request, and what else it has from the one that is handled.
    pub(super) fn consequence(&self, unique_id: Option<String>, span: &Span) -> (Context, Provenance) {
        let mut context = self.cause.context.clone();
        let headers = span.carry(&mut context);
        (context, Provenance { hops: self.cause.hops.saturating_add(1), unique_id, headers })
    }

    /// Notes that an effect waits for the handler's success.
    pub(super) fn holds(&self, what: &str, of: &str) {
        let note = |span: &Span| {
            span.event("held", &[("nova_host.effect".to_owned(), what.into()), ("nova_host.of".to_owned(), of.into())]);
        };
        self.cause.spans.run.note(note);
    }

    /// Begins the span of the release of effects, where there are any.
    pub(super) fn releases(&self, state: usize, casts: usize) -> Span {
        if state + casts == 0 {
            return Span::default();
        }
        let span = self.cause.spans.request.child(|| "release effects", Kind::Internal);
        span.set("nova_host.state", Value::from(state));
        span.set("nova_host.casts", Value::from(casts));
        span
    }

    /// Does something with the handler's state, and records that.
    pub(super) async fn looks<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, keyvalue::Error>>,
    ) -> Result<T, keyvalue::Error> {
        let span = self.cause.spans.run.asked(|| what, Kind::Internal);
        let done = work.await;
        if let Err(error) = &done {
            span.fail(error.word());
        }
        done
    }

    /// Begins the span of an HTTP request, and tells the other side of it, unless the guest does so itself.
    pub(super) fn fetches(&self, request: &mut Request) -> Span {
        let span = self.cause.spans.run.asked(|| request.method.clone(), Kind::Client);
        span.note(|span| {
            let (host, port) = request.origin.server();
            span.set("http.request.method", Value::from(request.method.as_str()));
            span.set("server.address", Value::from(host));
            span.set("server.port", Value::from(port));
            span.set("url.scheme", Value::from(request.origin.scheme()));
        });
        // One without the other would name a span, or a state, of another trace.
        let is_told = request.headers.iter().any(|(name, _)| HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)));
        if !is_told {
            request
                .headers
                .extend(span.headers().into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())));
        }
        span
    }
}

impl Error {
    /// Says in a span why there is no result.
    pub(super) fn mark(&self, span: &Span) {
        match self {
            Self::Remote(failure) => span.fail(&failure.class),
            other => span.fail(other.ending().as_str()),
        }
    }
}

/// Says in its span why the body of a response has not come.
pub(super) fn cut(span: &Span, error: &http::Error) {
    span.fail(error.ending().as_str());
}

/// Says in its span what became of an HTTP request.
pub(super) fn answered(span: &Span, status: u16, error: Option<&http::Error>) {
    match error {
        Some(error) => span.fail(error.ending().as_str()),
        None => {
            span.set("http.response.status_code", Value::from(status));
            if status >= 400 {
                span.fail(&status.to_string());
            }
        }
    }
}
