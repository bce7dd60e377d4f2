//! What is counted: one value, made by [`crate::host`] and handed to whoever counts. No globals.
//!
//! After it: [`Metrics::encode`] writes the text that Prometheus reads, and [`http`] offers it. A label holds a handler's
//! name or a word of an enum here, never what a caller or a guest wrote: nobody outside can make more series.

mod connections;
mod forward;
pub mod health;
pub mod http;
mod outgoing;
mod phase;
mod words;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

pub use phase::Phase;
pub use words::{Code, Connection, Effect, Ending, Limit, Origin, ReplyFate, Sending, Sent, Went};

/// What all names begin with.
const PREFIX: &str = "nova_host";

/// Upper bounds of the buckets for durations, in seconds: from an instance's own cost to the default timeout.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What is counted. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<HandlerLabel, Histogram, fn() -> Histogram>,
    running: Family<HandlerLabel, Gauge>,
    instances: Family<InstanceLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
    in_flight: Gauge,
    redelivered: Counter,
    rejected: Counter,
    duplicates: Counter,
    dead_letters: Counter,
    dead_letters_refused: Counter,
    replies: Family<ReplyLabel, Counter>,
    panics: Counter,
    compilations: Family<CodeLabel, Counter>,
    compile_duration: Histogram,
    loaded: Family<HandlerLabel, Counter>,
    generation: Family<HandlerLabel, Gauge<u64, AtomicU64>>,
    load_refused: Counter,
    connections: connections::Current,
    forwarded: forward::Forwarded,
    health: health::Current,
    outgoing: outgoing::Outgoing,
    phase: phase::Current,
}

/// A handler's name; empty, which Prometheus takes for absent, where no handler was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerLabel {
    handler: Arc<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    handler: Arc<String>,
    outcome: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstanceLabels {
    handler: Arc<String>,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    handler: Arc<String>,
    limit: Limit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: Code,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplyLabel {
    fate: ReplyFate,
}

/// What is counted about one handler.
#[derive(Clone, Debug)]
pub struct Handler {
    metrics: Metrics,
    name: Arc<String>,
    running: Gauge,
    durations: Histogram,
    fresh: Counter,
    kept: Counter,
}

/// A request that runs. Counts as running until dropped; what became of it is counted by [`Running::end`].
#[derive(Debug)]
pub struct Running<'a> {
    handler: &'a Handler,
    started: Instant,
}

/// A delivery that is not settled yet.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let mut inner = Inner {
            outgoing: outgoing::Outgoing::register(&mut registry),
            phase: phase::Current::register(&mut registry),
            connections: connections::Current::register(&mut registry),
            health: health::Current::register(&mut registry),
            forwarded: forward::Forwarded::register(&mut registry),
            registry,
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            running: Family::default(),
            instances: Family::default(),
            limits: Family::default(),
            in_flight: Gauge::default(),
            redelivered: Counter::default(),
            rejected: Counter::default(),
            duplicates: Counter::default(),
            dead_letters: Counter::default(),
            dead_letters_refused: Counter::default(),
            replies: Family::default(),
            panics: Counter::default(),
            compilations: Family::default(),
            compile_duration: Histogram::new(SECONDS),
            loaded: Family::default(),
            generation: Family::default(),
            load_refused: Counter::default(),
        };
        let all = &mut inner.registry;
        all.register(
            "requests",
            "Requests by handler and outcome; no handler was found without a name",
            inner.requests.clone(),
        );
        all.register(
            "request_duration_seconds",
            "Time from finding a request's handler to its outcome",
            inner.durations.clone(),
        );
        all.register("requests_running", "Requests of a handler that run or wait for a place", inner.running.clone());
        all.register("instances", "Instances that requests were given", inner.instances.clone());
        all.register("limit_hits", "Requests that ran into a limit", inner.limits.clone());
        all.register("deliveries_in_flight", "Deliveries that are not settled yet", inner.in_flight.clone());
        all.register(
            "deliveries_redelivered",
            "Deliveries that the broker had delivered before",
            inner.redelivered.clone(),
        );
        all.register("deliveries_rejected", "Deliveries that could not be decoded", inner.rejected.clone());
        all.register("deliveries_duplicate", "Deliveries of requests that had run already", inner.duplicates.clone());
        all.register("dead_letters", "Messages sent to the dead-letter exchange", inner.dead_letters.clone());
        all.register(
            "dead_letters_refused",
            "Messages that the dead-letter exchange did not take",
            inner.dead_letters_refused.clone(),
        );
        all.register("replies", "Replies to calls, by what became of them", inner.replies.clone());
        all.register("panics", "Faults of the host itself while it handled a delivery", inner.panics.clone());
        all.register(
            "compilations",
            "Components made ready to run, by where their code came from",
            inner.compilations.clone(),
        );
        all.register("compile_duration_seconds", "Time to compile a component", inner.compile_duration.clone());
        all.register("generations_loaded", "Generations loaded, by handler", inner.loaded.clone());
        all.register("generation", "The generation of a handler that is served", inner.generation.clone());
        all.register("generations_refused", "Files that were refused", inner.load_refused.clone());
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// Everything, in Prometheus' (OpenMetrics') text format.
    #[must_use]
    pub fn encode(&self) -> String {
        self.0.connections.note();
        let mut text = String::new();
        // Only writing can fail, and to a string it does not.
        text::encode(&mut text, &self.0.registry).ok();
        text
    }

    /// What is counted about a handler.
    #[must_use]
    pub fn handler(&self, name: &str) -> Handler {
        let name = Arc::new(name.to_owned());
        let label = HandlerLabel { handler: Arc::clone(&name) };
        let instances = |origin| {
            let labels = InstanceLabels { handler: Arc::clone(&name), origin };
            self.0.instances.get_or_create_owned(&labels)
        };
        Handler {
            metrics: self.clone(),
            running: self.0.running.get_or_create_owned(&label),
            durations: self.0.durations.get_or_create_owned(&label),
            fresh: instances(Origin::Fresh),
            kept: instances(Origin::Kept),
            name,
        }
    }

    /// A request for which there is no handler.
    pub fn nobody(&self) {
        let labels = RequestLabels { handler: Arc::default(), outcome: Ending::Refused };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// A delivery arrived; it is in flight until the value is dropped.
    #[must_use]
    pub fn delivered(&self, redelivered: bool) -> InFlight {
        if redelivered {
            self.0.redelivered.inc();
        }
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// A delivery could not be decoded.
    pub fn rejected(&self) {
        self.0.rejected.inc();
    }

    /// A delivery was of a request that had run already.
    pub fn duplicate(&self) {
        self.0.duplicates.inc();
    }

    /// The dead-letter exchange has taken a message.
    pub fn dead_letter(&self) {
        self.0.dead_letters.inc();
    }

    /// The dead-letter exchange has not taken a message.
    pub fn dead_letter_refused(&self) {
        self.0.dead_letters_refused.inc();
    }

    /// A reply has come to its end.
    pub fn reply(&self, fate: ReplyFate) {
        self.0.replies.get_or_create(&ReplyLabel { fate }).inc();
    }

    /// The host itself panicked while it handled a delivery.
    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    /// A component was made ready to run, or not.
    pub fn code(&self, code: Code) {
        self.0.compilations.get_or_create(&CodeLabel { code }).inc();
    }

    /// A compilation took so long.
    pub fn compiled_in(&self, took: Duration) {
        self.0.compile_duration.observe(took.as_secs_f64());
    }

    /// A generation is served from now on.
    pub fn loaded(&self, handler: &str, generation: u64) {
        let label = HandlerLabel { handler: Arc::new(handler.to_owned()) };
        self.0.loaded.get_or_create(&label).inc();
        self.0.generation.get_or_create(&label).set(generation);
        self.0.health.serves(handler, true);
    }

    /// A handler is not served any more.
    pub fn unloaded(&self, handler: &str) {
        self.0.generation.remove(&HandlerLabel { handler: Arc::new(handler.to_owned()) });
        self.0.health.serves(handler, false);
    }

    /// A file was refused.
    pub fn load_refused(&self) {
        self.0.load_refused.inc();
    }
}

impl Handler {
    /// A request of the handler begins.
    #[must_use]
    pub fn start(&self) -> Running<'_> {
        self.running.inc();
        Running { handler: self, started: Instant::now() }
    }

    /// A request was given an instance.
    pub fn instance(&self, origin: Origin) {
        match origin {
            Origin::Fresh => self.fresh.inc(),
            Origin::Kept => self.kept.inc(),
        };
    }

    /// A request ran into a limit.
    pub fn hit(&self, limit: Limit) {
        let labels = LimitLabels { handler: Arc::clone(&self.name), limit };
        self.metrics.0.limits.get_or_create(&labels).inc();
    }
}

impl Running<'_> {
    /// The request has ended like this, at this limit where it was one.
    pub fn end(self, outcome: Ending, limit: Option<Limit>) {
        let Handler { metrics, name, durations, .. } = self.handler;
        durations.observe(self.started.elapsed().as_secs_f64());
        metrics.0.requests.get_or_create(&RequestLabels { handler: Arc::clone(name), outcome }).inc();
        if let Some(limit) = limit {
            self.handler.hit(limit);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.handler.running.dec();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_written() {
        let metrics = Metrics::default();
        let handler = metrics.handler("calculator");
        let abandoned = handler.start();
        handler.start().end(Ending::TimedOut, Some(Limit::Timeout));
        metrics.nobody();
        let _in_flight = metrics.delivered(true);
        metrics.loaded("calculator", 7);
        let text = metrics.encode();
        for line in [
            r#"nova_host_requests_total{handler="calculator",outcome="timed_out"} 1"#,
            r#"nova_host_requests_total{handler="",outcome="refused"} 1"#,
            r#"nova_host_limit_hits_total{handler="calculator",limit="timeout"} 1"#,
            r#"nova_host_requests_running{handler="calculator"} 1"#,
            r#"nova_host_request_duration_seconds_count{handler="calculator"} 1"#,
            "nova_host_deliveries_in_flight 1",
            "nova_host_deliveries_redelivered_total 1",
            r#"nova_host_generation{handler="calculator"} 7"#,
        ] {
            assert!(text.lines().any(|written| written == line), "no {line} in\n{text}");
        }
        drop(abandoned);
        metrics.unloaded("calculator");
        let text = metrics.encode();
        assert!(text.contains(r#"nova_host_requests_running{handler="calculator"} 0"#), "{text}");
        assert!(!text.contains("nova_host_generation{"), "{text}");
    }
}
