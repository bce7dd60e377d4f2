//! The corridor itself: permit, delivery, envelope, dispatch, reply, settle. One task a delivery.
//!
//! Before it: [`crate::host`] has subscribed. After it: [`crate::dispatch`] and [`crate::reply`] decide, and this
//! module carries it out. A permit is taken before a delivery is pulled and held until it is settled, so that no more
//! is taken from the broker than is worked on.

mod answer;
mod duplicates;
mod heartbeat;

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Level};

use crate::{
    catalog::Current,
    compression::Error::Corrupt,
    dispatch::dispatch,
    envelope::{self, ReplyTo, Request},
    metrics::Metrics,
    printable::printable,
    reply::{Verdict, verdict},
    settings::Settings,
    transport::{Deliveries, Delivery, Disposition, Message, Settlement, Transport},
};

use answer::{Answered, answer};
use duplicates::{Claim, Duplicates};

/// Requests at once: the reference's `executor_thread_pool_size`.
const DEFAULT_MAX_IN_FLIGHT: u16 = 64;

/// The most that is allowed: each reserves address space for its memories, 16 GiB of the 128 TiB that there are.
const MAX_IN_FLIGHT: u16 = 4096;

/// Time for requests in flight at shutdown: what Kubernetes and systemd users usually have before SIGKILL.
const DEFAULT_GRACE_PERIOD: Duration = Duration::from_secs(30);

/// Replies whose queue is missing that are waited for at once, beside the requests in flight.
const MAX_LATE_REPLIES: usize = 1024;

/// The part of the requests in flight that may wait for missing reply queues: a third. As much again may be deliveries of
/// the same requests after a lost connection, and what is left still serves callers that live.
const UNSETTLED_SHARE: usize = 3;

/// Bytes of a name in the log.
const MAX_FIELD: usize = 64;

/// Bytes of a failure in the log.
const MAX_FAILURE: usize = 1024;

/// How the corridor is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests at once; permits and prefetch alike.
    pub max_in_flight: u16,
    /// How long requests in flight may take once the service is to stop; what is left is given back to the broker.
    pub grace_period: Duration,
}

impl Config {
    /// Takes the settings.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            max_in_flight: settings.take_within("max_in_flight", DEFAULT_MAX_IN_FLIGHT, 1..=MAX_IN_FLIGHT),
            grace_period: settings.take_within("grace_period", DEFAULT_GRACE_PERIOD, Duration::ZERO..=day),
        }
    }
}

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
    mut deliveries: Deliveries,
    shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(usize::from(config.max_in_flight)));
    let corridor = Arc::new(Corridor {
        metrics,
        transport,
        catalog,
        duplicates: Duplicates::default(),
        late: Semaphore::new(MAX_LATE_REPLIES),
        unsettled: Semaphore::new(usize::from(config.max_in_flight) / UNSETTLED_SHARE),
        tasks: TaskTracker::new(),
        abandon: CancellationToken::new(),
    });
    while let Some((permit, delivery)) =
        shutdown.stop.run_until_cancelled(next(&permits, &mut deliveries)).await.flatten()
    {
        let task = Arc::clone(&corridor).deliver(delivery, permit);
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

impl Corridor {
    /// Takes one delivery from its bytes to its settlement.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the delivery is not settled and the broker delivers it again.
    async fn deliver(self: Arc<Self>, delivery: Delivery, permit: OwnedSemaphorePermit) {
        let Delivery { message, settlement } = delivery;
        let _in_flight = self.metrics.delivered(message.redelivered);
        let bytes = message.body.len();
        let request = match decode(message).await {
            Ok(request) => request,
            Err(error) => {
                // Not again, and to the dead-letter exchange if there is one.
                self.metrics.rejected();
                tracing::warn!(%error, bytes, "message cannot be decoded, rejected");
                return settle(settlement, Disposition::Reject).await;
            }
        };
        let span = span(&request);
        self.run(request, settlement, permit).instrument(span).await;
    }

    async fn run(self: Arc<Self>, request: Request, settlement: Settlement, permit: OwnedSemaphorePermit) {
        let claim = match &request.unique_id {
            Some(id) => match self.duplicates.claim(id).await {
                Claim::First(claim) => Some(claim),
                Claim::Done => {
                    self.metrics.duplicate();
                    tracing::info!("a request that was handled already was delivered again, dropped");
                    return settle(settlement, Disposition::Ack).await;
                }
            },
            None => None,
        };
        let started = tokio::time::Instant::now();
        let reply_to = request.reply_to.clone();
        let dispatched = dispatch(&self.catalog, &self.metrics, request);
        let outcome = heartbeat::during(&self.transport, reply_to.as_ref(), dispatched).await;
        let verdict = verdict(outcome);
        log(&verdict, reply_to.is_some(), started.elapsed());
        let answered = match &reply_to {
            Some(reply_to) => answer(&self.transport, reply_to, &verdict.answer).await,
            None => Answered::Yes,
        };
        match answered {
            Answered::Yes => {}
            Answered::QueueMissing(rest) => {
                let settling = async move {
                    settle(settlement, verdict.disposition).await;
                    if let Some(claim) = claim {
                        claim.done();
                    }
                    drop(permit);
                };
                return self.answer_late(rest, settling);
            }
            // It would be refused again: there is nothing to run again for.
            Answered::Refused => {}
            // Whoever is connected better runs it again. It counts as not run: the claim is dropped.
            Answered::Unreachable => return settle(settlement, Disposition::Requeue).await,
        }
        settle(settlement, verdict.disposition).await;
        if let Some(claim) = claim {
            claim.done();
        }
        drop(permit);
    }

    /// Goes on trying to answer a caller whose queue is missing (it may be reconnecting), and then settles: a host that
    /// ends meanwhile leaves the request, and so its reply, to another. Where too many wait like this, it settles first,
    /// so that callers who have gone do not hold up the others.
    fn answer_late(self: &Arc<Self>, rest: answer::Unanswered, settling: impl Future<Output = ()> + Send + 'static) {
        let corridor = Arc::clone(self);
        let wait = async move {
            let Ok(_place) = corridor.late.try_acquire() else {
                tracing::error!(queue = rest.queue(), "too many replies wait for missing queues, this one is dropped");
                return settling.await;
            };
            if let Ok(_share) = corridor.unsettled.try_acquire() {
                rest.send(&corridor.transport).await;
                settling.await;
            } else {
                settling.await;
                rest.send(&corridor.transport).await;
            }
        };
        self.tasks.spawn(self.abandon.clone().run_until_cancelled_owned(wait.in_current_span()));
    }
}

/// Decodes a message; beside the runtime where it is compressed, for to undo that may take a second.
async fn decode(message: Message) -> Result<Request, envelope::Error> {
    let Some(header) = message.compression.clone() else {
        return Request::decode(&message.body, message.content_type.as_deref(), None);
    };
    let decode =
        move || Request::decode(&message.body, message.content_type.as_deref(), message.compression.as_deref());
    let decoded = tokio::task::spawn_blocking(decode).await;
    // A decompressor that panics has met a body that is no good.
    decoded.unwrap_or_else(|error| Err(envelope::Error::Compression(header, Corrupt(error.to_string()))))
}

/// A unique id as the reference makes them: a version 4 UUID without dashes.
pub(crate) fn fresh_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

async fn settle(settlement: Settlement, disposition: Disposition) {
    if let Err(error) = settlement.settle(disposition).await {
        tracing::warn!(%error, "not settled");
    }
}

/// The span of a request: what every line about it carries. Nothing of the context but its request id.
fn span(request: &Request) -> tracing::Span {
    let short = |text: &dyn std::fmt::Display| printable(&text.to_string(), MAX_FIELD);
    // At the level of errors, so that no filter takes it from a line that is logged.
    tracing::error_span!(
        "request",
        method = short(&request.method),
        version = request.version.text().map(|text| short(&text)),
        namespace = request.namespace.text().map(|text| short(&text)),
        msg_id = request.reply_to.as_ref().map(|ReplyTo { message_id, .. }| short(message_id)),
        request_id = request.context.get_str("request_id").map(|text| short(&text)),
        handler = tracing::field::Empty,
        digest = tracing::field::Empty,
        generation = tracing::field::Empty,
    )
}

fn log(verdict: &Verdict, answered: bool, took: Duration) {
    let outcome = verdict.name.as_str();
    let failure = verdict.answer.failure().map(|failure| printable(&failure.to_string(), MAX_FAILURE));
    let failure = failure.as_ref().map(tracing::field::display);
    // The failure of a cast is told nowhere else. (Levels are less, the more urgent they are.)
    let level = if failure.is_some() && !answered { verdict.level.min(Level::WARN) } else { verdict.level };
    match level {
        Level::ERROR => tracing::error!(outcome, ?took, failure, "handled"),
        Level::WARN => tracing::warn!(outcome, ?took, failure, "handled"),
        Level::INFO => tracing::info!(outcome, ?took, failure, "handled"),
        _ => tracing::debug!(outcome, ?took, failure, "handled"),
    }
}

#[cfg(test)]
#[path = "serve/tests.rs"]
mod tests;
