//! How many attempts a message has left.
//!
//! Before it: [`super::super::Client::publish`], with a message that is not to be tried for ever. After it: nothing. The
//! connection is everybody's and is sought in a task of its own, so the rounds of hosts that failed are counted there
//! ([`super::super::wire::connect`]), and what was sent and lost is counted here.

use tokio::sync::watch;

use super::super::wire::connect::{Connector, FailedRounds};
use crate::transport::publication::Retry;

/// What is said of a message that was sent and not confirmed.
const LOST: &str = "the message was sent, and the connection lost before it was confirmed";

/// The attempts of one message.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    retry: Retry,
    rounds: watch::Receiver<FailedRounds>,
    /// How many rounds had failed before.
    before: u64,
    /// How often the message was sent and not confirmed.
    lost: u64,
}

impl RetryBudget {
    /// Begins to count.
    pub(crate) fn new(retry: Retry, connector: &Connector) -> Self {
        let rounds = connector.failed_rounds.subscribe();
        let before = rounds.borrow().count;
        Self { retry, rounds, before, lost: 0 }
    }

    /// Counts an attempt that brought the message to the broker, or nearly so.
    pub(crate) fn count_lost(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }

    /// Waits until no attempt is left; gives why the last one failed.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn exhausted(&mut self) -> String {
        let Retry::Times(times) = self.retry else { return std::future::pending().await };
        let (before, lost) = (self.before, self.lost);
        let is_exhausted = |rounds: &FailedRounds| rounds.count - before + lost > u64::from(times);
        if self.rounds.wait_for(is_exhausted).await.is_err() {
            // The connector lives as long as whoever asks.
            return std::future::pending().await;
        }
        let rounds = self.rounds.borrow();
        if rounds.count > before { rounds.reason.clone() } else { LOST.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn attempts(retry: Retry) -> (watch::Sender<FailedRounds>, RetryBudget) {
        let failed = watch::Sender::new(FailedRounds { count: 7, reason: "before".into() });
        let rounds = failed.subscribe();
        (failed, RetryBudget { retry, rounds, before: 7, lost: 0 })
    }

    fn fail(failed: &watch::Sender<FailedRounds>) {
        failed.send_modify(|rounds| *rounds = FailedRounds { count: rounds.count + 1, reason: "down".into() });
    }

    #[test]
    fn rounds_that_failed_and_messages_that_were_lost_are_attempts() {
        let (failed, mut attempts) = attempts(Retry::Times(2));
        fail(&failed);
        attempts.count_lost();
        assert_eq!(attempts.exhausted().now_or_never(), None);
        fail(&failed);
        assert_eq!(attempts.exhausted().now_or_never().as_deref(), Some("down"));
    }

    #[test]
    fn without_a_retry_one_attempt_is_all() {
        let (_failed, mut attempts) = attempts(Retry::Times(0));
        assert_eq!(attempts.exhausted().now_or_never(), None);
        attempts.count_lost();
        assert_eq!(attempts.exhausted().now_or_never().as_deref(), Some(LOST));
    }

    #[test]
    fn for_ever_is_never_exhausted() {
        let (failed, mut attempts) = attempts(Retry::Forever);
        (0..100).for_each(|_| fail(&failed));
        attempts.count_lost();
        assert_eq!(attempts.exhausted().now_or_never(), None);
    }
}
