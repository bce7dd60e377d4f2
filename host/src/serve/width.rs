//! How much is taken from the broker at once.
//!
//! Before it: [`super::serve`] has permits. After it: the broker delivers as much as may run, and more while many of those that
//! run wait, for others who may be in the same queue, or for its word on their answers.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep_until},
};

use crate::{
    lending::{Lending, Lent, Slot},
    metrics::Metrics,
    transport::{Deliveries, Delivery},
};

/// How long few must have waited before less is taken again. Each change takes some round trips to the broker, in which nothing is
/// delivered: where confirmations take now a little less and now a little more than a moment, there would be nothing else.
const NARROW_AFTER: Duration = Duration::from_secs(30);

/// How much is taken.
#[derive(Debug)]
pub(super) struct Width {
    /// What is taken of a queue at once otherwise.
    prefetch: u16,
    lent: watch::Receiver<Lent>,
    /// The most that may be lent.
    most: Lent,
    /// How much more is taken now.
    wide: u16,
    /// Since when so few are lent that less would do.
    few_since: Option<Instant>,
}

impl Width {
    /// Of a service that takes so many of a queue at once.
    pub(super) fn new(prefetch: u16, lending: &Lending) -> Self {
        Self { prefetch, lent: lending.lent(), most: lending.most(), wide: 0, few_since: None }
    }

    /// A permit and a delivery, with the width kept meanwhile.
    ///
    /// # Cancel safety
    ///
    /// No delivery is lost.
    pub(super) async fn keep(
        &mut self,
        permits: &Arc<Semaphore>,
        deliveries: &mut Deliveries,
        metrics: &Metrics,
    ) -> Option<(Arc<Slot>, Delivery)> {
        loop {
            let lent = *self.lent.borrow_and_update();
            let before = self.wide;
            if let Some(more) = self.change(lent, Instant::now()) {
                if before > 0 && more > 0 {
                    // What is taken beyond the prefetch cannot be changed, only ended and begun again.
                    deliveries.widen(0).await;
                }
                deliveries.widen(more).await;
            }
            let narrow = async {
                match self.few_since {
                    Some(since) => sleep_until(since + NARROW_AFTER).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                next = next(permits, deliveries, metrics) => return next,
                // Never closed: the corridor has the other end.
                _ = self.lent.changed() => {}
                () = narrow => {}
            }
        }
    }

    /// How much more is to be taken from now on, where that changes; 0 is no more.
    fn change(&mut self, lent: Lent, now: Instant) -> Option<u16> {
        let (sum, prefetch) = (u32::from(lent.sum()), u32::from(self.prefetch));
        // Who waits in line has shown that there are more than can run, and others may be behind them.
        let in_line = if lent.in_line > 0 { self.most.in_line } else { 0 };
        let unconfirmed = if lent.unconfirmed > 0 { self.most.unconfirmed } else { 0 };
        let more = self.most.by_callers.saturating_add(unconfirmed).saturating_add(in_line);
        let is_wide = self.wide > 0;
        if in_line > 0 && self.wide < in_line || !is_wide && sum > 0 && 2 * sum >= prefetch {
            self.wide = more;
            return Some(more);
        }
        if !is_wide {
            return None;
        }
        let is_few = sum == 0 || lent.in_line == 0 && 4 * sum < prefetch;
        let since = is_few.then(|| self.few_since.unwrap_or(now));
        self.few_since = since;
        if since.is_some_and(|since| now >= since + NARROW_AFTER) {
            (self.wide, self.few_since) = (0, None);
            return Some(0);
        }
        None
    }
}

/// A permit, and then a delivery for it.
async fn next(
    permits: &Arc<Semaphore>,
    deliveries: &mut Deliveries,
    metrics: &Metrics,
) -> Option<(Arc<Slot>, Delivery)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let idle = metrics.idle();
    let delivery = deliveries.next().await?;
    drop(idle);
    Some((Arc::new(Slot::new(Arc::clone(permits), permit)), delivery))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_taken_where_many_wait_and_less_only_after_few_have_waited_for_long() {
        let most = Lent { by_callers: 64, unconfirmed: 100, in_line: 1000 };
        let mut width = Width::new(8, &Lending::new(most));
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let lent = |by_callers, unconfirmed| Lent { by_callers, unconfirmed, in_line: 0 };
        assert_eq!(width.change(lent(3, 0), start), None);
        assert_eq!(width.change(lent(4, 0), start), Some(64));
        // Up and down, again and again, changes nothing.
        for n in 0..100 {
            assert_eq!(width.change(lent(0, 0), start + n * second), None);
            assert_eq!(width.change(lent(0, 8), start + n * second), None);
        }
        let few = start + 100 * second;
        assert_eq!(width.change(lent(1, 0), few), None);
        assert_eq!(width.change(lent(1, 0), few + NARROW_AFTER - second), None);
        assert_eq!(width.change(lent(0, 0), few + NARROW_AFTER), Some(0));
        assert_eq!(width.change(lent(0, 0), few + 2 * NARROW_AFTER), None);
        assert_eq!(width.change(lent(0, 4), few + 2 * NARROW_AFTER), Some(164), "as many as may be unconfirmed, too");
        let one_waits = Lent { by_callers: 0, unconfirmed: 0, in_line: 1 };
        assert_eq!(width.change(one_waits, few + 2 * NARROW_AFTER), Some(1064), "and now those in line");
        assert_eq!(width.change(one_waits, few + 9 * NARROW_AFTER), None);
    }
}
