//! How long to wait before trying again.
//!
//! Before it: [`super::connect`], for connections, and [`super::super::Client::publish`], for messages. After it: nothing.

use std::time::Duration;

use super::super::config::Config;

/// No wait is chosen from less than this, whatever is configured: a loop without a wait would take a whole core.
const SHORTEST_RANGE: Duration = Duration::from_millis(100);

/// Waits that grow with each failure. Each is random, from nothing to the longest that is due: a fixed wait brings all
/// services that lost the same broker back in step, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    interval: Duration,
    step: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with no failure.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            interval: config.rabbit_retry_interval,
            step: config.rabbit_retry_backoff,
            longest: config.rabbit_interval_max,
            failures: 0,
        }
    }

    /// Counts a failure and gives the wait after it.
    pub(crate) fn next(&mut self) -> Duration {
        let range = self.range();
        self.failures = self.failures.saturating_add(1);
        jitter(range)
    }

    /// The same where the first failure says nothing: a connection that was lost is soon back, or its loss is seen.
    pub(crate) fn next_retry(&mut self) -> Duration {
        if self.failures == 0 {
            self.failures = 1;
            return Duration::ZERO;
        }
        self.next()
    }

    /// The longest wait that is due now.
    fn range(&self) -> Duration {
        self.step.saturating_mul(self.failures).saturating_add(self.interval).min(self.longest)
    }
}

/// A random time from nothing to `range`.
pub(crate) fn jitter(range: Duration) -> Duration {
    range.max(SHORTEST_RANGE).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_grows_to_its_maximum_like_the_references_wait() {
        let mut backoff = Backoff::new(&Config::default());
        let ranges: Vec<u64> = (0..18)
            .map(|_| {
                let range = backoff.range();
                assert!(backoff.next() <= range);
                range.as_secs()
            })
            .collect();
        assert_eq!(ranges[..5], [1, 3, 5, 7, 9]);
        assert_eq!(ranges[14..], [29, 30, 30, 30]);
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let waits: Vec<f64> = (0..1000).map(|_| jitter(Duration::from_secs(10)).as_secs_f64()).collect();
        assert!(waits.iter().any(|wait| *wait < 1.0) && waits.iter().any(|wait| *wait > 9.0));
    }

    #[test]
    fn no_configuration_makes_a_busy_loop() {
        let waits: Duration = (0..1000).map(|_| jitter(Duration::ZERO)).sum();
        assert!(waits > Duration::from_secs(10), "{waits:?}");
    }

    #[test]
    fn the_first_retry_of_a_message_is_at_once() {
        let mut backoff = Backoff::new(&Config::default());
        assert_eq!(backoff.next_retry(), Duration::ZERO);
        assert_eq!(backoff.range(), Duration::from_secs(3));
    }
}
