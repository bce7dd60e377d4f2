//! What is counted: one value, made by [`crate::host`] and handed to whoever counts. No globals.
//!
//! After it: [`Metrics::encode`] writes the text that Prometheus reads, and [`http`] offers it. A label holds a handler's
//! name or a word of an enum here, never what a caller or a guest wrote: nobody outside can make more series.

mod admin;
mod backlog;
mod canary;
mod connections;
mod deliveries;
mod forward;
mod generations;
pub mod health;
pub mod http;
mod line;
mod outgoing;
mod permits;
mod phase;
mod process;
mod recordings;
mod shadow;
mod spans;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

pub use deliveries::InFlight;
pub use line::InLine;
pub use permits::Idle;
pub use phase::Phase;
pub use shadow::Shadowed;
pub use words::{
    Code, Compared, Connection, Door, Effect, Ending, Gate, Limit, Origin, RecordingFate, ReplyFate, Sending, Sent,
    SpanFate, Tried, Verdict, Went,
};

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
    /// What has no prefix.
    process: Registry,
    requests: Family<RequestLabels, Counter>,
    methods: Family<MethodLabels, Counter>,
    method_seconds: Family<MethodLabel, Counter<f64, AtomicU64>>,
    durations: Family<HandlerLabel, Histogram, fn() -> Histogram>,
    computed: Family<HandlerLabel, Counter<f64, AtomicU64>>,
    running: Family<HandlerLabel, Gauge>,
    instances: Family<InstanceLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
    admin: admin::Answered,
    backlog: backlog::Backlog,
    canaries: canary::Canaries,
    connections: connections::Current,
    forwarded: forward::Forwarded,
    deliveries: deliveries::Deliveries,
    generations: generations::Generations,
    health: health::Current,
    line: line::Line,
    outgoing: outgoing::Outgoing,
    permits: permits::Permits,
    phase: phase::Current,
    recordings: recordings::Recordings,
    shadows: shadow::Shadows,
    spans: spans::Spans,
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

/// A method that a handler offers: what nobody offers is in no series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    handler: Arc<String>,
    method: Arc<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    handler: Arc<String>,
    method: Arc<String>,
    outcome: Ending,
}

/// What is counted about one handler.
#[derive(Clone, Debug)]
pub struct Handler {
    metrics: Metrics,
    name: Arc<String>,
    running: Gauge,
    durations: Histogram,
    computed: Counter<f64, AtomicU64>,
    fresh: Counter,
    kept: Counter,
}

/// A request that runs. Counts as running until dropped; what became of it is counted by [`Running::end`].
#[derive(Debug)]
pub struct Running<'a> {
    handler: &'a Handler,
    method: Arc<String>,
    started: Instant,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut process = Registry::default();
        process.register_collector(Box::new(process::Process));
        let mut registry = Registry::with_prefix(PREFIX);
        let all = &mut registry;
        let mut inner = Inner {
            admin: admin::Answered::register(all),
            backlog: backlog::Backlog::register(all),
            canaries: canary::Canaries::register(all),
            connections: connections::Current::register(all),
            deliveries: deliveries::Deliveries::register(all),
            forwarded: forward::Forwarded::register(all),
            generations: generations::Generations::register(all),
            health: health::Current::register(all),
            line: line::Line::register(all),
            outgoing: outgoing::Outgoing::register(all),
            permits: permits::Permits::register(all),
            phase: phase::Current::register(all),
            recordings: recordings::Recordings::register(all),
            shadows: shadow::Shadows::register(all),
            spans: spans::Spans::register(all),
            registry,
            process,
            requests: Family::default(),
            methods: Family::default(),
            method_seconds: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            computed: Family::default(),
            running: Family::default(),
            instances: Family::default(),
            limits: Family::default(),
        };
        let all = &mut inner.registry;
        all.register(
            "requests",
            "Requests by handler and outcome; no handler was found without a name",
            inner.requests.clone(),
        );
        all.register("method_requests", "Requests by the method of a handler, and outcome", inner.methods.clone());
        all.register(
            "method_seconds",
            "Time that requests of a method took in sum, from finding the handler to the outcome",
            inner.method_seconds.clone(),
        );
        all.register(
            "request_duration_seconds",
            "Time from finding a request's handler to its outcome",
            inner.durations.clone(),
        );
        all.register("guest_cpu_seconds", "Time that a handler's guests computed", inner.computed.clone());
        all.register("requests_running", "Requests of a handler that run or wait for a place", inner.running.clone());
        all.register("instances", "Instances that requests were given", inner.instances.clone());
        all.register("limit_hits", "Requests that ran into a limit", inner.limits.clone());
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// How often requests of a handler ran into limits since the start, by the limit's setting; those that none ran into are left out.
    #[must_use]
    pub fn limits_reached(&self, handler: &str) -> BTreeMap<&'static str, u64> {
        let handler = Arc::new(handler.to_owned());
        let reached = |limit: &Limit| {
            let labels = LimitLabels { handler: Arc::clone(&handler), limit: *limit };
            Some((limit.as_str(), self.0.limits.get(&labels)?.get()))
        };
        Limit::ALL.iter().filter_map(reached).collect()
    }

    /// Everything, in Prometheus' (OpenMetrics') text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let Inner { backlog, connections, deliveries, line, permits, registry, process, .. } = &*self.0;
        connections.note();
        permits.note();
        backlog.note(deliveries.settled.get(), line.waiting());
        let mut text = String::new();
        // Only writing can fail, and to a string it does not.
        text::encode_registry(&mut text, registry).ok();
        text::encode_registry(&mut text, process).ok();
        text::encode_eof(&mut text).ok();
        text
    }

    /// What is counted about a handler.
    #[must_use]
    pub fn handler(&self, name: &str) -> Handler {
        let name = Arc::new(name.to_owned());
        let label = HandlerLabel { handler: Arc::clone(&name) };
        self.0.outgoing.expect(&name);
        let instances = |origin| {
            let labels = InstanceLabels { handler: Arc::clone(&name), origin };
            self.0.instances.get_or_create_owned(&labels)
        };
        Handler {
            metrics: self.clone(),
            running: self.0.running.get_or_create_owned(&label),
            durations: self.0.durations.get_or_create_owned(&label),
            computed: self.0.computed.get_or_create_owned(&label),
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
}

impl Handler {
    /// A request of the handler begins, for one of the methods that it offers.
    #[must_use]
    pub fn start(&self, method: &str) -> Running<'_> {
        self.running.inc();
        Running { handler: self, method: Arc::new(method.to_owned()), started: Instant::now() }
    }

    /// A guest of the handler computed for so long.
    pub fn computed(&self, took: Duration) {
        self.computed.inc_by(took.as_secs_f64());
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
        let Inner { requests, methods, method_seconds, .. } = &*metrics.0;
        let seconds = self.started.elapsed().as_secs_f64();
        durations.observe(seconds);
        requests.get_or_create(&RequestLabels { handler: Arc::clone(name), outcome }).inc();
        let method = MethodLabel { handler: Arc::clone(name), method: Arc::clone(&self.method) };
        method_seconds.get_or_create(&method).inc_by(seconds);
        let MethodLabel { handler, method } = method;
        methods.get_or_create(&MethodLabels { handler, method, outcome }).inc();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_written() {
        let metrics = Metrics::default();
        let handler = metrics.handler("calculator");
        let abandoned = handler.start("add");
        handler.start("add").end(Ending::TimedOut, Some(Limit::Timeout));
        metrics.nobody();
        handler.computed(Duration::from_millis(1500));
        let _in_flight = metrics.delivered(true, None);
        metrics.loaded("calculator", 7, "d");
        let text = metrics.encode();
        for line in [
            r#"nova_host_requests_total{handler="calculator",outcome="timed_out"} 1"#,
            r#"nova_host_requests_total{handler="",outcome="refused"} 1"#,
            r#"nova_host_method_requests_total{handler="calculator",method="add",outcome="timed_out"} 1"#,
            r#"nova_host_guest_cpu_seconds_total{handler="calculator"} 1.5"#,
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
