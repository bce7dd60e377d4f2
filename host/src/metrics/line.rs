//! Requests that wait in line for their turn: how many, and how long they did.
//!
//! Before it: [`crate::serve`] has taken a request and others run. After it: [`super::Metrics`] writes it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::time::Instant;

use super::{HandlerLabel, Metrics};

#[derive(Debug, Default)]
pub(super) struct Line {
    /// Of all handlers.
    all: AtomicU32,
    waiting: Family<HandlerLabel, Gauge>,
    waited: Family<HandlerLabel, Counter>,
    seconds: Family<HandlerLabel, Counter<f64, AtomicU64>>,
}

/// A request in line. It has waited when this is dropped.
#[derive(Debug)]
pub struct InLine {
    metrics: Metrics,
    handler: HandlerLabel,
    since: Instant,
}

impl Line {
    pub(super) fn register(all: &mut Registry) -> Self {
        let line = Self::default();
        all.register("requests_in_line", "Requests of a handler that wait for their turn", line.waiting.clone());
        all.register("line_waits", "Requests of a handler that have waited for their turn", line.waited.clone());
        all.register("line_wait_seconds", "Time that they waited in sum", line.seconds.clone());
        line
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        self.all.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// A request begins to wait in line.
    #[must_use]
    pub fn in_line(&self, handler: &str) -> InLine {
        let handler = HandlerLabel { handler: Arc::new(handler.to_owned()) };
        self.0.line.all.fetch_add(1, Ordering::Relaxed);
        self.0.line.waiting.get_or_create(&handler).inc();
        InLine { metrics: self.clone(), handler, since: Instant::now() }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let Line { all, waiting, waited, seconds } = &self.metrics.0.line;
        all.fetch_sub(1, Ordering::Relaxed);
        waiting.get_or_create(&self.handler).dec();
        waited.get_or_create(&self.handler).inc();
        seconds.get_or_create(&self.handler).inc_by(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_counts_until_its_turn_and_its_time_after() {
        let metrics = Metrics::default();
        let has = |line: &str| metrics.encode().lines().any(|written| written == line);
        let waits = metrics.in_line("a");
        assert!(has(r#"nova_host_requests_in_line{handler="a"} 1"#));
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(waits);
        assert!(has(r#"nova_host_requests_in_line{handler="a"} 0"#));
        assert!(has(r#"nova_host_line_waits_total{handler="a"} 1"#));
        assert!(has(r#"nova_host_line_wait_seconds_total{handler="a"} 2.0"#));
    }
}
