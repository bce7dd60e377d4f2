//! What is counted of requests that go on to the service behind this one.
//!
//! Before it: [`crate::serve`] has settled a request. After it: [`super::Metrics`] writes it. The names of methods are those
//! that [`crate::forward::Forwarding::note`] gives, of which there are not many.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{Metrics, SECONDS, Went};

#[derive(Debug)]
pub(super) struct Forwarded {
    requests: Family<Labels, Counter>,
    failures: Counter,
    duration: Histogram,
    front: Family<Topic, Gauge>,
    messages: Family<Queue, Gauge>,
    consumers: Family<Queue, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    topic: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    side: Went,
}

impl Forwarded {
    pub(super) fn register(all: &mut Registry) -> Self {
        let forwarded = Self {
            requests: Family::default(),
            failures: Counter::default(),
            duration: Histogram::new(SECONDS),
            front: Family::default(),
            messages: Family::default(),
            consumers: Family::default(),
        };
        all.register(
            "forward_requests",
            "Requests by method and by who has them, where there is a service behind this one",
            forwarded.requests.clone(),
        );
        all.register(
            "forward_failures",
            "Requests that were to go on, and could not: the sum over all methods, from 0 on",
            forwarded.failures.clone(),
        );
        all.register(
            "forward_duration_seconds",
            "Time from a request's delivery until the queue of the service behind has it",
            forwarded.duration.clone(),
        );
        all.register(
            "forward_front",
            "Who answered requests to a topic when it was looked last: 1 a Nova Host, 0 another service, -1 nobody",
            forwarded.front.clone(),
        );
        all.register(
            "forward_queue_messages",
            "Messages that wait in a queue of the service behind, when it was looked last",
            forwarded.messages.clone(),
        );
        all.register(
            "forward_queue_consumers",
            "Consumers of a queue of the service behind, when it was looked last",
            forwarded.consumers.clone(),
        );
        forwarded
    }
}

impl Metrics {
    /// A request of this method went there.
    pub fn went(&self, method: &Arc<str>, side: Went) {
        if side == Went::Failed {
            self.0.forwarded.failures.inc();
        }
        self.0.forwarded.requests.get_or_create(&Labels { method: method.to_string(), side }).inc();
    }

    /// Who answers requests to a topic: 1 a Nova Host, 0 another service, -1 nobody.
    pub fn fronts(&self, topic: &str, who: i64) {
        self.0.forwarded.front.get_or_create(&Topic { topic: topic.to_owned() }).set(who);
    }

    /// How a queue of the service behind is.
    pub fn behind(&self, queue: &str, messages: u32, consumers: u32) {
        let queue = Queue { queue: queue.to_owned() };
        self.0.forwarded.messages.get_or_create(&queue).set(messages.into());
        self.0.forwarded.consumers.get_or_create(&queue).set(consumers.into());
    }

    /// A request was forwarded in so long.
    pub fn forwarded_in(&self, took: Duration) {
        self.0.forwarded.duration.observe(took.as_secs_f64());
    }
}
