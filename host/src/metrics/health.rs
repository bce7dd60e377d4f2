//! How the service is: whether it takes requests, and what is missing where it does not.
//!
//! Before it: [`super::Metrics`] has counted. After it: `/readyz` ([`super::http`]), `nova-host status` by way of
//! [`crate::control`], and systemd ([`crate::cli`]), which all say the same.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metrics, Phase, words::Connection};
use crate::transport::Connected;

/// How the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether requests are taken, and some handler is there for them.
    pub ready: bool,
    /// What is missing for that, for people.
    pub missing: Vec<String>,
    /// How far the service is, for people.
    pub phase: String,
    /// The program's version.
    pub version: String,
    /// The process id.
    pub process: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Handlers that are served.
    pub handlers: u64,
    /// Deliveries that are not settled yet.
    pub in_flight: u64,
    /// The connections to the broker, by what they carry; empty where there is none.
    pub connections: BTreeMap<String, ConnectionHealth>,
}

/// How a kind of connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionHealth {
    /// Connections that are ready.
    pub open: u32,
    /// Those that the broker blocks.
    pub blocked: u32,
    /// Connections that were made ready so far.
    pub made: u64,
}

impl From<Connected> for ConnectionHealth {
    fn from(Connected { open, blocked, made }: Connected) -> Self {
        Self { open, blocked, made }
    }
}

/// What is kept for it.
#[derive(Debug)]
pub(super) struct Current {
    started: Instant,
    /// The handlers, with the digests of their components.
    served: Mutex<BTreeMap<String, String>>,
    handlers: Gauge,
}

impl Current {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let current = Self { started: Instant::now(), served: Mutex::default(), handlers: Gauge::default() };
        registry.register("handlers", "Handlers that are served", current.handlers.clone());
        current
    }

    /// A component of this digest is a handler from now on; without one, the handler is served no more. Gives the digest before.
    pub(super) fn serves(&self, handler: &str, digest: Option<&str>) -> Option<String> {
        let mut served = self.served();
        let before = match digest {
            Some(digest) => served.insert(handler.to_owned(), digest.to_owned()),
            None => served.remove(handler),
        };
        self.handlers.set(i64::try_from(served.len()).unwrap_or(i64::MAX));
        before
    }

    fn served(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    /// How the service is now.
    #[must_use]
    pub fn health(&self) -> Health {
        let Current { started, handlers, .. } = &self.0.health;
        let count = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or_default();
        let connection = |which: &Connection| Some((which.as_str().to_owned(), self.connection(*which)?.into()));
        let phase = self.phase();
        let mut health = Health {
            phase: phase.as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            uptime_seconds: started.elapsed().as_secs(),
            handlers: count(handlers),
            in_flight: count(&self.0.deliveries.in_flight),
            connections: Connection::ALL.iter().filter_map(connection).collect(),
            ..Health::default()
        };
        health.missing = self.missing(phase, &health);
        health.ready = health.missing.is_empty();
        health
    }

    fn missing(&self, phase: Phase, health: &Health) -> Vec<String> {
        if phase != Phase::Serving {
            return vec![health.phase.clone()];
        }
        let mut missing = Vec::new();
        if self.connection(Connection::Requests).is_some_and(|connected| connected.open == 0) {
            missing.push("not connected to the broker".to_owned());
        }
        if health.handlers == 0 {
            missing.push("no handler is served".to_owned());
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Carries, Connections};

    #[test]
    fn who_is_not_ready_says_what_is_missing() {
        let (metrics, connections) = (Metrics::default(), Connections::default());
        assert_eq!(metrics.health().missing, ["loading handlers"]);
        metrics.enter(Phase::Serving);
        assert_eq!(metrics.health().missing, ["no handler is served"]);
        metrics.loaded("a", 1, "d");
        metrics.loaded("a", 2, "d");
        assert!(metrics.health().ready && metrics.health().connections.is_empty());
        metrics.tell_of(connections.clone());
        assert_eq!(metrics.health().missing, ["not connected to the broker"]);
        let open = connections.open(Carries::Requests);
        assert!(metrics.health().ready);
        assert_eq!(metrics.health().connections["requests"], ConnectionHealth { open: 1, blocked: 0, made: 1 });
        drop(open);
        metrics.unloaded("a");
        assert_eq!(metrics.health().missing, ["not connected to the broker", "no handler is served"]);
        metrics.enter(Phase::Stopping);
        assert_eq!(metrics.health().missing, ["stopping"]);
    }

    #[test]
    fn what_is_told_of_connections_is_as_it_is_now() {
        let (metrics, connections) = (Metrics::default(), Connections::default());
        metrics.tell_of(connections.clone());
        let has = |line: &str| metrics.encode().lines().any(|written| written == line);
        let first = connections.open(Carries::Publications);
        first.blocks(true);
        assert!(has(r#"nova_host_broker_connections{connection="publications"} 1"#));
        assert!(has(r#"nova_host_broker_connections_blocked{connection="publications"} 1"#));
        assert!(has(r#"nova_host_broker_connections{connection="requests"} 0"#));
        drop(first);
        drop(connections.open(Carries::Publications));
        assert!(has(r#"nova_host_broker_connections{connection="publications"} 0"#));
        assert!(has(r#"nova_host_broker_connections_blocked{connection="publications"} 0"#));
        assert!(has(r#"nova_host_broker_connects_total{connection="publications"} 2"#));
    }
}
