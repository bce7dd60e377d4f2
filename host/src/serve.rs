//! The corridor itself: permit, delivery, envelope, dispatch, reply, settle. One task a delivery.
//!
//! Before it: [`crate::host`] has subscribed. After it: [`crate::dispatch`] and [`crate::reply`] decide, and `work`
//! carries it out. A permit is taken before a delivery is pulled and held until it is settled, so that no more is taken
//! from the broker than is worked on.

mod answer;
mod config;
mod dead_letter;
mod delivery;
mod duplicates;
mod end;
mod forward;
mod guard;
mod heartbeat;
mod late;
mod line;
mod outage;
mod quiet;
mod record;
mod said;
mod seat;
mod traced;
mod unconfirmed;
mod width;
mod work;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::{Config, DeadLetters, Fair};

use crate::{
    capability::Capabilities,
    catalog::Current,
    dispatch,
    fair::{self, Gate},
    forward::Forwarding,
    journal::Recorder,
    lending::Lending,
    metrics::Metrics,
    recording::Keeper,
    trace::Tracer,
    transport::{Deliveries, Transport},
};

use delivery::Pulled;
use duplicates::Duplicates;
use guard::guard;
use late::Late;
use line::Line;
use outage::Outages;
use quiet::Quiet;
use unconfirmed::Unconfirmed;
use width::Width;

/// The longest that a request is held up by a reply or a dead letter while the broker is away, or takes nothing. (A broker that is
/// there says what becomes of a message, or is silent for half a minute at most.)
const HOLD_FOR: Duration = Duration::from_secs(3600);

/// The longest that a request is held up by the copy that counts its attempts: longer than it takes to notice that a
/// connection is dead, and to have another.
const COUNT_FOR: Duration = Duration::from_secs(30);

/// How long the end of a subscription may take: to give back what is unsettled, and to delete the service's own queues.
/// Where the broker does not answer, it does both by itself.
const CLOSING: Duration = Duration::from_secs(3);

/// The part of the requests in flight that may wait for queues that do not take their reply or dead letter: a third. As much again may be deliveries of
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

/// What requests are answered with.
#[derive(Debug)]
pub struct With {
    /// Where replies go, and what is sent on.
    pub transport: Transport,
    /// The handlers.
    pub catalog: Current,
    /// What they may do.
    pub capabilities: Capabilities,
    /// What goes on to the service behind this one, if there is one.
    pub forwarding: Option<Forwarding>,
    /// Where requests are written down for operators.
    pub journal: Recorder,
    /// Which requests are traced.
    pub tracer: Tracer,
    /// Who keeps recordings; `None` where nothing is recorded.
    pub recordings: Option<Keeper>,
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
    forwarding: Option<Forwarding>,
    journal: Recorder,
    tracer: Tracer,
    recordings: Option<Keeper>,
    outages: Outages,
    /// The name of this server.
    server: String,
    duplicates: Duplicates,
    /// The queues that are served: nothing is answered there.
    queues: Arc<[String]>,
    late: Late,
    quiet: Quiet,
    /// Requests that are settled only after their late reply or dead letter.
    unsettled: Semaphore,
    lending: Lending,
    line: Line,
    unconfirmed: Unconfirmed,
    tasks: TaskTracker,
    /// Nothing more is begun that waits in line.
    stop: CancellationToken,
    /// Ends every task where it is; what is unsettled goes back to the broker.
    abandon: CancellationToken,
}

/// Serves deliveries until told to stop; then finishes what is in flight, within the grace period, and gives the rest
/// back to the broker.
///
/// Does not return an error: nothing that a message, a guest or a broker does ends the service.
pub async fn serve(config: Config, metrics: Metrics, with: With, mut deliveries: Deliveries, shutdown: Shutdown) {
    let With { transport, catalog, capabilities, forwarding, journal, tracer, recordings } = with;
    let permits = Arc::new(Semaphore::new(usize::from(config.window())));
    let lending = Lending::of(config.max_in_flight, config.fair.waiting);
    let gate = Gate::new(config.max_in_flight, fair::extra(config.max_in_flight));
    let corridor = Arc::new(Corridor {
        unconfirmed: Unconfirmed::new(lending.clone(), metrics.clone()),
        metrics,
        transport,
        catalog,
        capabilities,
        dispatch: config.dispatch,
        max_attempts: config.max_attempts,
        dead_letters: config.dead_letters.clone(),
        forwarding,
        journal,
        tracer,
        recordings,
        outages: Outages::default(),
        server: config.server.clone(),
        duplicates: Duplicates::default(),
        queues: deliveries.queues(),
        late: Late::default(),
        quiet: Quiet::default(),
        unsettled: Semaphore::new(usize::from(config.max_in_flight) / UNSETTLED_SHARE),
        lending,
        line: Line::new(gate.clone(), config.fair.by.clone()),
        tasks: TaskTracker::new(),
        stop: shutdown.stop.clone(),
        abandon: CancellationToken::new(),
    });
    corridor.metrics.tell_of_permits(config.max_in_flight, Arc::clone(&permits), move || gate.free());
    let mut width = Width::new(config.window().min(deliveries.prefetch()), &corridor.lending);
    while let Some((permit, delivery)) =
        shutdown.stop.run_until_cancelled(width.keep(&permits, &mut deliveries, &corridor.metrics)).await.flatten()
    {
        let in_flight = corridor.metrics.delivered(delivery.message.redelivered, delivery.message.sent);
        let pulled = Pulled::new(delivery, permit, in_flight);
        // On the heap before it is wrapped and spawned, or each step copies all of it.
        let task = Box::pin(Arc::clone(&corridor).guarded(pulled));
        corridor.tasks.spawn(corridor.abandon.clone().run_until_cancelled_owned(task));
    }
    drain(&config, &corridor, &mut deliveries, &shutdown).await;
    let closing = tokio::time::timeout(CLOSING, deliveries.close());
    if !matches!(shutdown.now.run_until_cancelled(closing).await, Some(Ok(()))) {
        tracing::info!("the broker did not answer in time; it takes back what was unsettled by itself");
    }
}

impl Corridor {
    /// Nothing that goes wrong in the host itself goes further than the delivery: that goes back to the broker, which
    /// counts its attempts.
    async fn guarded(self: Arc<Self>, pulled: Pulled) {
        let metrics = self.metrics.clone();
        if guard(self.deliver(pulled)).await.is_err() {
            metrics.panicked();
            tracing::error!("the host failed while it handled a delivery, which goes back to the broker");
        }
    }
}

/// Takes nothing more and waits for what is in flight.
async fn drain(config: &Config, corridor: &Corridor, deliveries: &mut Deliveries, shutdown: &Shutdown) {
    corridor.tasks.close();
    tracing::info!(in_flight = corridor.tasks.len(), grace_period = ?config.grace_period, "stopping");
    // Together: a broker that does not answer must not take the time of those who are about to finish.
    let finished = async { tokio::join!(deliveries.cancel(), corridor.tasks.wait()) };
    let finished = tokio::time::timeout(config.grace_period, finished);
    match shutdown.now.run_until_cancelled(finished).await {
        Some(Ok(_)) => {}
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
