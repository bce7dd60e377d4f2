//! How far the service is: whether it takes requests, and if not, why.
//!
//! Before it: [`crate::cli`] and [`crate::host`] say what comes next. After it: [`super::health`] and the gauge `serving`.

use std::sync::atomic::{AtomicU8, Ordering};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::Metrics;

/// A part of the service's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Handlers are loaded.
    #[default]
    Loading,
    /// The broker is connected to, or waited for, for the first time.
    Connecting,
    /// Requests are taken. A connection that is lost later is made again, and changes nothing here.
    Serving,
    /// No more requests are taken.
    Stopping,
}

impl Phase {
    /// All, in their order.
    const ALL: [Self; 4] = [Self::Loading, Self::Connecting, Self::Serving, Self::Stopping];

    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading handlers",
            Self::Connecting => "connecting to the broker",
            Self::Serving => "serving",
            Self::Stopping => "stopping",
        }
    }
}

/// The phase in which the service is.
#[derive(Debug, Default)]
pub(super) struct Current {
    phase: AtomicU8,
    serving: Gauge,
}

impl Current {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let current = Self::default();
        let help = "1 while requests are taken; 0 while handlers load, while the broker is waited for at the start, and \
                    while the service stops";
        registry.register("serving", help, current.serving.clone());
        current
    }
}

impl Metrics {
    /// The service comes to another phase.
    pub fn enter(&self, phase: Phase) {
        let Current { phase: current, serving } = &self.0.phase;
        current.store(phase as u8, Ordering::Relaxed);
        serving.set(i64::from(phase == Phase::Serving));
    }

    /// The phase in which the service is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let current = self.0.phase.phase.load(Ordering::Relaxed);
        Phase::ALL.into_iter().find(|phase| *phase as u8 == current).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_serves_is_ready() {
        let metrics = Metrics::default();
        assert_eq!(metrics.phase(), Phase::Loading);
        for phase in Phase::ALL {
            metrics.enter(phase);
            assert_eq!(metrics.phase(), phase);
            let serves = u8::from(phase == Phase::Serving);
            let text = metrics.encode();
            assert!(text.lines().any(|line| line == format!("nova_host_serving {serves}")), "{text}");
        }
    }
}
