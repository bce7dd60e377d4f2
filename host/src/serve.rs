//! The corridor itself: permit, delivery, envelope, dispatch, reply, settle. One task a delivery.
//!
//! Before it: [`crate::host`] has subscribed. After it: [`crate::dispatch`] and [`crate::reply`] decide, and `work`
//! carries it out. A permit is taken before a delivery is pulled and held until it is settled, so that no more is taken
//! from the broker than is worked on.

mod answer;
mod config;
mod dead_letter;
mod duplicates;
mod heartbeat;
mod work;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::{Config, DeadLetters};

use crate::{
    capability::Capabilities,
    catalog::Current,
    dispatch,
    metrics::Metrics,
    transport::{Deliveries, Delivery, Transport},
};

use duplicates::Duplicates;

/// Replies whose queue is missing that are waited for at once, beside the requests in flight.
const MAX_LATE_REPLIES: usize = 1024;

/// The part of the requests in flight that may wait for missing reply queues: a third. As much again may be deliveries of
/// the same requests after a lost connection, and what is left still serves callers that live.
const UNSETTLED_SHARE: usize = 3;

/// How the service is told to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing more, finish what is in flight.
    pub stop: CancellationToken,
    /// Finish nothing more.
    pub now: CancellationToken,
}

/// What all deliveries share.
#[derive(Debug)]
struct Corridor {
    metrics: Metrics,
    transport: Transport,
    catalog: Current,
    capabilities: Capabilities,
    dispatch: dispatch::Options,
    max_attempts: u32,
    dead_letters: Option<DeadLetters>,
    duplicates: Duplicates,
    late: Semaphore,
    /// Requests that are settled only after their late reply.
    unsettled: Semaphore,
    tasks: TaskTracker,
    /// Ends every task where it is; what is unsettled goes back to the broker.
    abandon: CancellationToken,
}

/// Serves deliveries until told to stop; then finishes what is in flight, within the grace period, and gives the rest
/// back to the broker.
///
/// Does not return an error: nothing that a message, a guest or a broker does ends the service.
pub async fn serve(
    config: Config,
    metrics: Metrics,
    transport: Transport,
    catalog: Current,
    capabilities: Capabilities,
    mut deliveries: Deliveries,
    shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(usize::from(config.max_in_flight)));
    let corridor = Arc::new(Corridor {
        metrics,
        transport,
        catalog,
        capabilities,
        dispatch: config.dispatch,
        max_attempts: config.max_attempts,
        dead_letters: config.dead_letters.clone(),
        duplicates: Duplicates::default(),
        late: Semaphore::new(MAX_LATE_REPLIES),
        unsettled: Semaphore::new(usize::from(config.max_in_flight) / UNSETTLED_SHARE),
        tasks: TaskTracker::new(),
        abandon: CancellationToken::new(),
    });
    while let Some((permit, delivery)) =
        shutdown.stop.run_until_cancelled(next(&permits, &mut deliveries)).await.flatten()
    {
        // On the heap before it is wrapped and spawned, or each step copies all of it.
        let task = Box::pin(Arc::clone(&corridor).deliver(delivery, permit));
        corridor.tasks.spawn(corridor.abandon.clone().run_until_cancelled_owned(task));
    }
    drain(&config, &corridor, &mut deliveries, &shutdown).await;
    deliveries.close().await;
}

/// A permit, and then a delivery for it.
async fn next(permits: &Arc<Semaphore>, deliveries: &mut Deliveries) -> Option<(OwnedSemaphorePermit, Delivery)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    Some((permit, deliveries.next().await?))
}

/// Takes nothing more and waits for what is in flight.
async fn drain(config: &Config, corridor: &Corridor, deliveries: &mut Deliveries, shutdown: &Shutdown) {
    deliveries.cancel().await;
    corridor.tasks.close();
    tracing::info!(in_flight = corridor.tasks.len(), grace_period = ?config.grace_period, "stopping");
    let finished = tokio::time::timeout(config.grace_period, corridor.tasks.wait());
    match shutdown.now.run_until_cancelled(finished).await {
        Some(Ok(())) => {}
        Some(Err(_)) | None => {
            tracing::warn!(
                in_flight = corridor.tasks.len(),
                "not finished in time, giving the rest back to the broker"
            );
            corridor.abandon.cancel();
            corridor.tasks.wait().await;
        }
    }
}

#[cfg(test)]
#[path = "serve/tests.rs"]
mod tests;
