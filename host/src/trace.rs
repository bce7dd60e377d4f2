//! Traces of requests, as OpenTelemetry has them: spans of what a request does here, sent to a collector over OTLP, and the W3C
//! trace context, which says whose trace it is and travels with everything that is sent.
//!
//! Before it: [`crate::serve`] has a request. [`propagation`] reads whose trace it belongs to, [`tracer`] decides whether it is
//! recorded, and gives a [`Span`], which the stages hand on, mark and end. After it: [`export`] sends what has ended, as [`otlp`]
//! says, by [`post`]. A span that is not recorded is a pointer at most, and nothing here ever holds up a request: what the
//! collector does not take in time is dropped, and counted.

mod config;
mod endpoint;
mod export;
mod otlp;
mod post;
mod propagation;
mod queue;
mod said;
mod sampler;
mod span;
mod tracer;
mod value;

pub use config::Config;
pub use export::{Exporter, start};
pub use propagation::HEADERS;
pub use span::{Kind, Span};
pub use tracer::Tracer;
pub use value::Value;

/// What records every request, and what has ended of them since it was asked last, as text.
#[cfg(test)]
pub(crate) fn recording() -> (Tracer, impl FnMut() -> Vec<String>) {
    let (queue, mut spans) = queue::Queue::new(100, crate::metrics::Metrics::default());
    let tracer = Tracer::new(sampler::Sampler { follows_parent: true, share: sampler::Share::ALL }, queue);
    (tracer, move || std::iter::from_fn(|| spans.try_recv().ok()).map(|span| format!("{span:?}")).collect())
}

/// A span that is recorded, and what has ended below it since it was asked last, as text.
#[cfg(test)]
pub(crate) fn recorded() -> (Span, impl FnMut() -> Vec<String>) {
    let (queue, mut spans) = queue::Queue::new(100, crate::metrics::Metrics::default());
    let context = propagation::TraceContext::fresh().expect("the system has randomness").sampled(true);
    let span = Span::first(&std::sync::Arc::new(queue), context, None, "receive");
    (span, move || std::iter::from_fn(|| spans.try_recv().ok()).map(|span| format!("{span:?}")).collect())
}
