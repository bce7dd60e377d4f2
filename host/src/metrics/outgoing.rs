//! What is counted of the requests that handlers send, and of the effects that they hold back.
//!
//! Before it: [`crate::capability`] says what happened. After it: [`super::Metrics`] writes it.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Effect, Handler, HandlerLabel, SECONDS, Sending, Sent};

#[derive(Debug)]
pub(super) struct Outgoing {
    sent: Family<SentLabels, Counter>,
    calls: Family<HandlerLabel, Histogram, fn() -> Histogram>,
    fetches: Family<HandlerLabel, Histogram, fn() -> Histogram>,
    effects: Family<EffectLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SentLabels {
    handler: Arc<String>,
    kind: Sending,
    outcome: Sent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    handler: Arc<String>,
    fate: Effect,
}

impl Outgoing {
    pub(super) fn register(all: &mut Registry) -> Self {
        let outgoing = Self {
            sent: Family::default(),
            calls: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            fetches: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            effects: Family::default(),
        };
        all.register("outgoing_requests", "Requests that handlers made, by what came of them", outgoing.sent.clone());
        all.register(
            "outgoing_call_duration_seconds",
            "Time that handlers waited for results of calls",
            outgoing.calls.clone(),
        );
        all.register(
            "outgoing_http_duration_seconds",
            "Time that handlers waited for the heads of HTTP responses",
            outgoing.fetches.clone(),
        );
        all.register(
            "effects",
            "Effects that were held until the handler's end, by their fate",
            outgoing.effects.clone(),
        );
        outgoing
    }
}

impl Outgoing {
    /// Begins to count the effects of a handler, before there are any: Prometheus does not see what a counter begins with as an
    /// increase.
    pub(super) fn expect(&self, handler: &Arc<String>) {
        for fate in Effect::ALL {
            drop(self.effects.get_or_create(&EffectLabels { handler: Arc::clone(handler), fate: *fate }));
        }
    }
}

impl Handler {
    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The handler has sent a request, or wanted to.
    pub fn sent(&self, kind: Sending, outcome: Sent) {
        let labels = SentLabels { handler: Arc::clone(&self.name), kind, outcome };
        self.metrics.0.outgoing.sent.get_or_create(&labels).inc();
    }

    /// A call of the handler's took so long.
    pub fn called_in(&self, took: Duration) {
        let label = HandlerLabel { handler: Arc::clone(&self.name) };
        self.metrics.0.outgoing.calls.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// An HTTP request of the handler's had its response, or will not have it, after so long.
    pub fn fetched_in(&self, took: Duration) {
        let label = HandlerLabel { handler: Arc::clone(&self.name) };
        self.metrics.0.outgoing.fetches.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// So many effects of a request have ended like this.
    pub fn effects(&self, fate: Effect, count: usize) {
        if count > 0 {
            let labels = EffectLabels { handler: Arc::clone(&self.name), fate };
            self.metrics.0.outgoing.effects.get_or_create(&labels).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}
