//! What is counted of the spans of traces.
//!
//! Before it: [`crate::trace`] has sent them, or not. After it: [`super::Metrics`] writes it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Metrics, SpanFate};

#[derive(Debug)]
pub(super) struct Spans(Family<Label, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    fate: SpanFate,
}

impl Spans {
    pub(super) fn register(all: &mut Registry) -> Self {
        let spans = Self(Family::default());
        for fate in SpanFate::ALL {
            // From the beginning: Prometheus does not see what a counter begins with as an increase.
            drop(spans.0.get_or_create(&Label { fate: *fate }));
        }
        all.register("spans", "Spans of traces that were recorded, by what became of them", spans.0.clone());
        spans
    }
}

impl Metrics {
    /// So many spans of traces have ended like this.
    pub fn spans(&self, fate: SpanFate, count: u64) {
        if count > 0 {
            self.0.spans.0.get_or_create(&Label { fate }).inc_by(count);
        }
    }
}
