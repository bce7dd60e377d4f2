//! What is counted of recordings of requests.
//!
//! Before it: [`crate::recording`] has kept them, or not. After it: [`super::Metrics`] writes it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Metrics, RecordingFate};

#[derive(Debug)]
pub(super) struct Recordings(Family<Label, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    fate: RecordingFate,
}

impl Recordings {
    pub(super) fn register(all: &mut Registry) -> Self {
        let recordings = Self(Family::default());
        for fate in RecordingFate::ALL {
            // From the beginning: Prometheus does not see what a counter begins with as an increase.
            drop(recordings.0.get_or_create(&Label { fate: *fate }));
        }
        let what = "Recordings of requests that were to be kept, by what became of them";
        all.register("recordings", what, recordings.0.clone());
        recordings
    }
}

impl Metrics {
    /// What became of a recording.
    pub fn recording(&self, fate: RecordingFate) {
        self.0.recordings.0.get_or_create(&Label { fate }).inc();
    }
}
