//! What waits for this service, and how long it will take.
//!
//! Before it: [`crate::transport`] looks at the queues. After it: [`super::Metrics`] writes it, for people and for whoever decides
//! how many hosts there are.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;
use crate::transport::{Depth, Depths};

/// The time over which the rate is taken.
const WINDOW: Duration = Duration::from_secs(60);

/// Between two samples of what is done. Whoever asks more often than that changes nothing.
const SAMPLED_EVERY: Duration = Duration::from_secs(1);

/// The longest that is expected, in seconds: a day. A service that does nothing needs for ever, which no rule and no autoscaler
/// can calculate with.
const LONGEST: f64 = 86_400.0;

#[derive(Debug)]
pub(super) struct Backlog {
    depths: OnceLock<Depths>,
    rate: Mutex<Rate>,
    messages: Family<Label, Gauge>,
    consumers: Family<Label, Gauge>,
    drain: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    queue: String,
}

/// How much was done by when.
#[derive(Debug)]
struct Rate(VecDeque<(Instant, u64)>);

impl Backlog {
    pub(super) fn register(all: &mut Registry) -> Self {
        let backlog = Self {
            depths: OnceLock::new(),
            rate: Mutex::new(Rate::new(Instant::now())),
            messages: Family::default(),
            consumers: Family::default(),
            drain: Gauge::default(),
        };
        let Self { messages, consumers, drain, .. } = &backlog;
        all.register("queue_messages", "Messages in a queue that were delivered to nobody yet", messages.clone());
        all.register("queue_consumers", "Consumers of a queue, those of all hosts", consumers.clone());
        let help = "Expected seconds until what waits is done, at the rate of the last minute; at most a day";
        all.register("drain_seconds", help, drain.clone());
        backlog
    }

    /// Brings the gauges up to date; `settled` is how many deliveries were settled so far, and `in_line` how many were taken and wait
    /// for their turn.
    pub(super) fn note(&self, settled: u64, in_line: u32) {
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner).at(Instant::now(), settled);
        let Some(depths) = self.depths.get() else { return };
        let depths = depths.known();
        self.messages.clear();
        self.consumers.clear();
        for (queue, depth) in &depths {
            let label = Label { queue: queue.clone() };
            self.messages.get_or_create(&label).set(depth.messages.into());
            self.consumers.get_or_create(&label).set(depth.consumers.into());
        }
        self.drain.set(expected(&depths, in_line, rate));
    }
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self(VecDeque::from([(now, 0)]))
    }

    /// How much is done in a second, given how much was done by now.
    #[expect(clippy::cast_precision_loss, reason = "requests of a minute")]
    fn at(&mut self, now: Instant, done: u64) -> f64 {
        let age = |sample: Option<&(Instant, u64)>| sample.map(|(at, _)| now.saturating_duration_since(*at));
        // The first that is kept is the last from before the window, unless nobody has asked for long.
        while age(self.0.get(1)).is_some_and(|second| second >= WINDOW || age(self.0.front()) >= Some(2 * WINDOW)) {
            self.0.pop_front();
        }
        let rate = self.0.front().map_or(0.0, |(at, before)| {
            let seconds = now.saturating_duration_since(*at).max(SAMPLED_EVERY).as_secs_f64();
            done.saturating_sub(*before) as f64 / seconds
        });
        if self.0.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLED_EVERY) {
            self.0.push_back((now, done));
        }
        rate
    }
}

/// Seconds until this service's part of what waits is done, and what it has taken and not begun. A queue is divided among its consumers: other hosts take as much.
fn expected(depths: &BTreeMap<String, Depth>, in_line: u32, rate: f64) -> f64 {
    let part = |depth: &Depth| f64::from(depth.messages) / f64::from(depth.consumers.max(1));
    let waiting = f64::from(in_line) + depths.values().map(part).sum::<f64>();
    if waiting > 0.0 { (waiting / rate).min(LONGEST) } else { 0.0 }
}

impl Metrics {
    /// Tells of what waits there from now on.
    pub fn tell_of_depths(&self, depths: Depths) {
        self.0.backlog.depths.set(depths).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depths(depths: &[(&str, u32, u32)]) -> BTreeMap<String, Depth> {
        let depth = |(queue, messages, consumers): &(&str, u32, u32)| {
            ((*queue).to_owned(), Depth { messages: *messages, consumers: *consumers })
        };
        depths.iter().map(depth).collect()
    }

    #[test]
    fn what_waits_is_divided_by_those_who_take_it_and_by_the_rate() {
        let close = |expected: f64, is: f64| assert!((expected - is).abs() < 1e-9, "{expected} {is}");
        close(expected(&depths(&[("a", 0, 2), ("b", 0, 0)]), 0, 0.0), 0.0);
        close(expected(&depths(&[("a", 100, 2), ("b", 50, 1)]), 0, 10.0), 10.0);
        close(expected(&depths(&[("a", 100, 2), ("b", 50, 1)]), 200, 10.0), 30.0);
        close(expected(&depths(&[("a", 1, 0)]), 0, 0.0), LONGEST);
        close(expected(&depths(&[("a", u32::MAX, 1)]), 0, 0.1), LONGEST);
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute_however_often_somebody_asks() {
        let start = Instant::now();
        let close = |rate: f64, is: f64| assert!((rate - is).abs() < 1e-9, "{rate} {is}");
        let mut rate = Rate::new(start);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        close(rate.at(at(0), 5), 5.0);
        close(rate.at(at(10), 100), 10.0);
        for tenth in 0..1000 {
            rate.at(at(10) + Duration::from_millis(tenth / 10), 100);
        }
        assert!(rate.0.len() <= 3, "{rate:?}");
        close(rate.at(at(70), 700), 10.0);
        close(rate.at(at(700), 700), 0.0);
        close(rate.at(at(710), 800), 10.0);
    }
}
