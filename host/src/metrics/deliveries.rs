//! What is counted of deliveries, and of what is sent because of them: replies and dead letters.
//!
//! Before it: [`crate::serve`] says what happened. After it: [`super::Metrics`] writes it.

use std::time::{Duration, SystemTime};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{Metrics, ReplyFate};

/// Upper bounds of the buckets for waits in queues, in seconds. Most brokers note the time in whole seconds.
const WAITS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// A longer wait counts as this: whoever sends a message can write any time on it, and must not spoil the sum.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(super) struct Deliveries {
    pub(super) in_flight: Gauge,
    /// Those that are not in flight any more.
    pub(super) settled: Counter,
    wait: Histogram,
    redelivered: Counter,
    rejected: Counter,
    duplicates: Counter,
    dead_letters: Counter,
    dead_letters_refused: Counter,
    replies: Family<ReplyLabel, Counter>,
    panics: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplyLabel {
    fate: ReplyFate,
}

/// A delivery that is not settled yet.
#[derive(Debug)]
pub struct InFlight {
    in_flight: Gauge,
    settled: Counter,
}

impl Deliveries {
    pub(super) fn register(all: &mut Registry) -> Self {
        let deliveries = Self {
            in_flight: Gauge::default(),
            settled: Counter::default(),
            wait: Histogram::new(WAITS),
            redelivered: Counter::default(),
            rejected: Counter::default(),
            duplicates: Counter::default(),
            dead_letters: Counter::default(),
            dead_letters_refused: Counter::default(),
            replies: Family::default(),
            panics: Counter::default(),
        };
        for fate in ReplyFate::ALL {
            // From the beginning: Prometheus does not see what a counter begins with as an increase.
            drop(deliveries.replies.get_or_create(&ReplyLabel { fate: *fate }));
        }
        let Self { in_flight, settled, wait, redelivered, rejected, .. } = &deliveries;
        all.register("deliveries_in_flight", "Deliveries that are not settled yet", in_flight.clone());
        all.register("deliveries_settled", "Deliveries that were settled or given back", settled.clone());
        all.register(
            "queue_wait_seconds",
            "Time from when a message was sent to its first delivery, where the message says when it was sent",
            wait.clone(),
        );
        all.register("deliveries_redelivered", "Deliveries that the broker had delivered before", redelivered.clone());
        all.register("deliveries_rejected", "Deliveries that could not be decoded", rejected.clone());
        let Self { duplicates, dead_letters, dead_letters_refused, replies, panics, .. } = &deliveries;
        all.register("deliveries_duplicate", "Deliveries of requests that had run already", duplicates.clone());
        all.register("dead_letters", "Messages sent to the dead-letter exchange", dead_letters.clone());
        all.register(
            "dead_letters_refused",
            "Messages that the dead-letter exchange did not take",
            dead_letters_refused.clone(),
        );
        all.register("replies", "Replies to calls, by what became of them", replies.clone());
        all.register("panics", "Faults of the host itself while it handled a delivery", panics.clone());
        deliveries
    }
}

impl Metrics {
    /// A delivery arrived; it is in flight until the value is dropped. `sent` is when its message says that it was sent.
    #[must_use]
    pub fn delivered(&self, redelivered: bool, sent: Option<SystemTime>) -> InFlight {
        let Deliveries { in_flight, settled, wait, redelivered: again, .. } = &self.0.deliveries;
        if redelivered {
            again.inc();
        } else if let Some(sent) = sent {
            // Clocks differ: what was sent in the future has not waited.
            let waited = SystemTime::now().duration_since(sent).unwrap_or_default();
            wait.observe(waited.min(LONGEST_WAIT).as_secs_f64());
        }
        in_flight.inc();
        InFlight { in_flight: in_flight.clone(), settled: settled.clone() }
    }

    /// A delivery could not be decoded.
    pub fn rejected(&self) {
        self.0.deliveries.rejected.inc();
    }

    /// A delivery was of a request that had run already.
    pub fn duplicate(&self) {
        self.0.deliveries.duplicates.inc();
    }

    /// The dead-letter exchange has taken a message.
    pub fn dead_letter(&self) {
        self.0.deliveries.dead_letters.inc();
    }

    /// The dead-letter exchange has not taken a message.
    pub fn dead_letter_refused(&self) {
        self.0.deliveries.dead_letters_refused.inc();
    }

    /// A reply has come to its end.
    pub fn reply(&self, fate: ReplyFate) {
        self.0.deliveries.replies.get_or_create(&ReplyLabel { fate }).inc();
    }

    /// The host itself panicked while it handled a delivery.
    pub fn panicked(&self) {
        self.0.deliveries.panics.inc();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.in_flight.dec();
        self.settled.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_once_for_each_message_and_no_clock_spoils_it() {
        let metrics = Metrics::default();
        assert!(metrics.encode().contains(r#"nova_host_replies_total{fate="dropped"} 0"#));
        let now = SystemTime::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds));
        for sent in [ago(3), ago(1_000_000_000), now.checked_add(Duration::from_secs(1000)), None] {
            drop(metrics.delivered(false, sent));
            drop(metrics.delivered(true, sent));
        }
        let text = metrics.encode();
        for line in [
            r#"nova_host_queue_wait_seconds_bucket{le="0.01"} 1"#,
            r#"nova_host_queue_wait_seconds_bucket{le="5.0"} 2"#,
            r#"nova_host_queue_wait_seconds_bucket{le="1800.0"} 2"#,
            "nova_host_queue_wait_seconds_count 3",
            "nova_host_deliveries_settled_total 8",
            "nova_host_deliveries_redelivered_total 4",
            "nova_host_deliveries_in_flight 0",
        ] {
            assert!(text.lines().any(|written| written == line), "no {line} in\n{text}");
        }
        assert!(text.contains("nova_host_queue_wait_seconds_sum 8640"), "{text}");
    }
}
