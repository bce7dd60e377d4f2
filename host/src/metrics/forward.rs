//! What is counted of requests that go on to the service behind this one.
//!
//! Before it: [`crate::serve`] has settled a request. After it: [`super::Metrics`] writes it. The names of methods are those
//! that [`crate::forward::Forwarding::note`] gives, of which there are not many.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Metrics, SECONDS, Went};

#[derive(Debug)]
pub(super) struct Forwarded {
    requests: Family<Labels, Counter>,
    duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    side: Went,
}

impl Forwarded {
    pub(super) fn register(all: &mut Registry) -> Self {
        let forwarded = Self { requests: Family::default(), duration: Histogram::new(SECONDS) };
        all.register(
            "forward_requests",
            "Requests by method and by who has them, where there is a service behind this one",
            forwarded.requests.clone(),
        );
        all.register(
            "forward_duration_seconds",
            "Time from a request's delivery until the queue of the service behind has it",
            forwarded.duration.clone(),
        );
        forwarded
    }
}

impl Metrics {
    /// A request of this method went there.
    pub fn went(&self, method: &Arc<str>, side: Went) {
        self.0.forwarded.requests.get_or_create(&Labels { method: method.to_string(), side }).inc();
    }

    /// A request was forwarded in so long.
    pub fn forwarded_in(&self, took: Duration) {
        self.0.forwarded.duration.observe(took.as_secs_f64());
    }
}
