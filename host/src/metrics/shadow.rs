//! What is counted of shadows.
//!
//! Before it: [`crate::shadow`] has compared requests, or not. After it: [`super::Metrics`] writes it.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Compared, Metrics};

#[derive(Debug)]
pub(super) struct Shadows(Family<Label, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    handler: Arc<String>,
    outcome: Compared,
}

/// What is counted of the shadow of one handler. To count takes no lock.
#[derive(Clone, Debug)]
pub struct Shadowed(Vec<(Compared, Counter)>);

impl Shadows {
    pub(super) fn register(all: &mut Registry) -> Self {
        let shadows = Self(Family::default());
        all.register("shadow", "Requests of shadows' shares, by what comparing them came to", shadows.0.clone());
        shadows
    }
}

impl Metrics {
    /// What is counted of a handler's shadow: from 0 on, so that the first of each is an increase too.
    #[must_use]
    pub fn shadowed(&self, handler: &str) -> Shadowed {
        let handler = Arc::new(handler.to_owned());
        let counter = |outcome: &Compared| {
            let label = Label { handler: Arc::clone(&handler), outcome: *outcome };
            (*outcome, self.0.shadows.0.get_or_create_owned(&label))
        };
        Shadowed(Compared::ALL.iter().map(counter).collect())
    }
}

impl Shadowed {
    /// One more.
    pub fn inc(&self, outcome: Compared) {
        if let Some((_, counter)) = self.0.iter().find(|(of, _)| *of == outcome) {
            counter.inc();
        }
    }
}
