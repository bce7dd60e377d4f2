//! What is counted of the admin API.
//!
//! Before it: [`crate::admin`] has answered. After it: [`super::Metrics`] writes it.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Door, Metrics};

#[derive(Debug)]
pub(super) struct Answered(Family<Labels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Door,
}

impl Answered {
    pub(super) fn register(all: &mut Registry) -> Self {
        let answered = Self(Family::default());
        all.register("admin_requests", "Requests to the admin API, by what became of them", answered.0.clone());
        answered
    }
}

impl Metrics {
    /// The admin API has answered somebody.
    pub fn admin(&self, outcome: Door) {
        self.0.admin.0.get_or_create(&Labels { outcome }).inc();
    }
}
