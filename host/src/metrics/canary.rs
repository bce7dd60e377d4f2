//! What is counted of canaries.
//!
//! Before it: the keeper begins, moves and ends them, and [`crate::canary`] sees their requests. After it: [`super::Metrics`] writes it.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Ending, Handler, HandlerLabel, Metrics, Tried, Verdict};

#[derive(Debug, Default)]
pub(super) struct Canaries {
    share: Family<HandlerLabel, Gauge<f64, AtomicU64>>,
    verdicts: Family<VerdictLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    handler: Arc<String>,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    handler: Arc<String>,
    version: Tried,
    outcome: Ending,
}

impl Canaries {
    pub(super) fn register(all: &mut Registry) -> Self {
        let canaries = Self::default();
        all.register("canary_share", "The share of requests that a version on trial gets", canaries.share.clone());
        all.register("canary_verdicts", "What became of versions on trial", canaries.verdicts.clone());
        all.register(
            "canary_requests",
            "Requests while a version was on trial, by the version that they ran on",
            canaries.requests.clone(),
        );
        canaries
    }
}

impl Metrics {
    /// A canary gets this share of requests, a part of 1; `None` is that there is none any more.
    pub fn canary_gets(&self, handler: &str, share: Option<f64>) {
        let label = HandlerLabel { handler: Arc::new(handler.to_owned()) };
        let Canaries { share: shares, verdicts, .. } = &self.0.canaries;
        match share {
            Some(share) => {
                shares.get_or_create(&label).set(share);
                // From 0 on, so that the first of each is an increase too.
                for verdict in Verdict::ALL {
                    let labels = VerdictLabels { handler: Arc::clone(&label.handler), verdict: *verdict };
                    drop(verdicts.get_or_create(&labels));
                }
            }
            None => drop(shares.remove(&label)),
        }
    }

    /// A canary has come to this.
    pub fn canary_is(&self, handler: &str, verdict: Verdict) {
        let labels = VerdictLabels { handler: Arc::new(handler.to_owned()), verdict };
        self.0.canaries.verdicts.get_or_create(&labels).inc();
    }
}

impl Handler {
    /// A request has ended on one of two versions.
    pub fn tried(&self, version: Tried, outcome: Ending) {
        let labels = RequestLabels { handler: Arc::clone(&self.name), version, outcome };
        self.metrics.0.canaries.requests.get_or_create(&labels).inc();
    }
}
