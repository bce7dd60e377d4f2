//! What is told of the connections to the broker.
//!
//! Before it: [`crate::cli`] names the transport. After it: gauges that are as they are when somebody asks, and
//! [`super::health`].

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, words::Connection};
use crate::transport::{Carries, Connected, Connections};

/// The connections of a service that has a broker.
#[derive(Debug, Default)]
pub(super) struct Current {
    connections: OnceLock<Connections>,
    open: Family<Label, Gauge>,
    blocked: Family<Label, Gauge>,
    made: Family<Label, Counter>,
    unconfirmed: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    connection: Connection,
}

impl Connection {
    fn carries(self) -> Carries {
        match self {
            Self::Requests => Carries::Requests,
            Self::Replies => Carries::Replies,
            Self::Publications => Carries::Publications,
        }
    }
}

impl Current {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let current = Self::default();
        let mut register = |name: &str, help: &str, family: &Family<Label, Gauge>| {
            registry.register(name, help, family.clone());
        };
        register("broker_connections", "Connections to the broker that are ready", &current.open);
        register("broker_connections_blocked", "Those that the broker blocks", &current.blocked);
        registry.register("broker_connects", "Connections to the broker that were made ready", current.made.clone());
        let help = "Publications that the broker has not confirmed yet, those that wait for a connection included";
        registry.register("publications_unconfirmed", help, current.unconfirmed.clone());
        let help = "How long the oldest of them has waited";
        registry.register("publications_oldest_age_seconds", help, current.oldest.clone());
        current
    }

    /// Brings the gauges up to date.
    pub(super) fn note(&self) {
        let Some(connections) = self.connections.get() else { return };
        let pending = connections.pending();
        self.unconfirmed.set(i64::try_from(pending.count()).unwrap_or(i64::MAX));
        self.oldest.set(pending.oldest().as_secs_f64());
        for connection in Connection::ALL {
            let Connected { open, blocked, made } = connections.of(connection.carries());
            let label = Label { connection: *connection };
            self.open.get_or_create(&label).set(open.into());
            self.blocked.get_or_create(&label).set(blocked.into());
            self.made.get_or_create(&label).inner().store(made, Ordering::Relaxed);
        }
    }
}

impl Metrics {
    /// Tells of these connections from now on.
    pub fn tell_of(&self, connections: Connections) {
        self.0.connections.connections.set(connections).ok();
    }

    /// What there is of a kind of connection; `None` where there is no broker, or none yet.
    #[must_use]
    pub fn connection(&self, connection: Connection) -> Option<Connected> {
        self.0.connections.connections.get().map(|connections| connections.of(connection.carries()))
    }
}
