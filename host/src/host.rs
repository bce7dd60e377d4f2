//! Wires the stages; knows everyone.
//!
//! Before it: [`crate::cli`] has the configuration. After it: [`crate::serve`] runs. Handlers are loaded first; operators are
//! answered meanwhile, and while the broker is waited for ([`Beside`]). Nothing that stops here waits without a bound.

mod behind;
mod beside;

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinError, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    capability::{
        Capabilities,
        keyvalue::{OpenError, Place},
    },
    catalog::{Current, Scan, keeper::Keeper, load::Cache},
    config::Config,
    forward::Forwarding,
    journal::Recorder,
    metrics::{Metrics, Phase},
    recording,
    sandbox::{self, Compiler, Sandbox, SetUpError},
    serve::{Shutdown, With, serve},
    trace::Tracer,
    transport::{self, Depths, Transport, shown},
};

use behind::Behind;
pub use behind::describe_topic;
pub use beside::Beside;

/// Time after the grace period for all that is left then: giving back what has not ended, deleting our own queues, closing
/// connections. With the default grace period it ends before Kubernetes' 30 seconds do.
pub const CLOSING: Duration = Duration::from_secs(3);

/// Time for the same once somebody does not want to wait any more.
pub const HURRIED: Duration = Duration::from_secs(1);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No sandbox.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// No directory of handlers.
    #[error("handlers directory {path}: {source}")]
    Handlers {
        /// The directory.
        path: String,
        /// Why it cannot be listed.
        source: std::io::Error,
    },
    /// No subscription.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// No store for handlers' state.
    #[error(transparent)]
    Keyvalue(#[from] OpenError),
}

/// A service that runs in this process.
#[derive(Debug)]
pub struct Host {
    shutdown: Shutdown,
    task: AbortOnDropHandle<()>,
    /// Looks after the store of handlers' state, and at the queues, until the service stops.
    looking: AbortOnDropHandle<()>,
    capabilities: Capabilities,
    transport: Transport,
    metrics: Metrics,
    grace_period: Duration,
}

/// Makes the sandbox that the configuration asks for.
///
/// # Errors
///
/// [`SetUpError`]. A cache directory that nobody has chosen and that cannot be used is no error: it is logged.
pub async fn sandbox(config: &Config, metrics: &Metrics) -> Result<Arc<Sandbox>, SetUpError> {
    let (config, metrics) = (config.clone(), metrics.clone());
    // A cache may lie on a disk that takes its time.
    let made = tokio::task::spawn_blocking(move || {
        let with = |cache| {
            let compiler = Compiler::Child(config.handlers.compile.clone());
            let (max_in_flight, stack) = (config.serve.max_in_flight, config.limits.stack);
            Sandbox::new(sandbox::Config { max_in_flight, stack, cache, compiler }, metrics.clone()).map(Arc::new)
        };
        match &config.handlers.cache {
            Cache::Chosen(directory) => with(Some(directory.as_path())),
            Cache::Nowhere => with(None),
            Cache::Default(directory) => match with(Some(directory.as_path())) {
                Err(SetUpError::Cache(error)) => {
                    tracing::warn!("{error}; until then handlers are compiled at every start");
                    with(None)
                }
                made => made,
            },
        }
    });
    match made.await.map_err(JoinError::try_into_panic) {
        Ok(made) => made,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and nobody waits for this any more.
        Err(Err(_)) => std::future::pending().await,
    }
}

/// Who looks on; by default, nobody.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// Where requests are written down for operators.
    pub journal: Recorder,
    /// Which requests are traced.
    pub tracer: Tracer,
    /// Who keeps recordings of requests.
    pub recordings: Option<recording::Keeper>,
}

/// Makes the keeper of the handlers, which has none yet.
///
/// # Errors
///
/// [`Error::SetUp`].
pub async fn keeper(config: &Config, metrics: &Metrics) -> Result<Arc<Keeper>, Error> {
    let sandbox = sandbox(config, metrics).await?;
    let policy = config.serve.dispatch.policy;
    let recordings = config.record.as_ref().map(|record| record.directory.clone());
    Ok(Keeper::with_recordings(&config.handlers, &config.limits, policy, sandbox, metrics.clone(), recordings))
}

/// Loads every handler, and logs what was loaded and what was refused. Gives what there is to watch.
///
/// # Errors
///
/// [`Error::Handlers`], where not even the directory is there. A broken handler is not an error.
pub async fn load(keeper: &Arc<Keeper>) -> Result<Scan, Error> {
    let directory = keeper.directory();
    let scan = keeper.load().await;
    let scan = scan.map_err(|source| Error::Handlers { path: directory.display().to_string(), source })?;
    if keeper.current().get().generations().is_empty() {
        tracing::warn!(directory = %directory.display(), "no handler is served: every call will be refused");
    }
    Ok(scan)
}

impl Host {
    /// Subscribes and starts serving. Returns once the queues are there.
    ///
    /// # Errors
    ///
    /// [`transport::Error::Refused`] where the broker refuses, or has no dead-letter exchange of the configured name; a
    /// broker that is down is waited for. [`OpenError`] where handlers' state cannot be kept.
    pub async fn start(
        config: &Config,
        metrics: &Metrics,
        transport: Transport,
        current: Current,
        forwarding: Option<Forwarding>,
        Observers { journal, tracer, recordings }: Observers,
    ) -> Result<Self, Error> {
        let (capability, exchange) = (&config.capability, &config.control_exchange);
        let capabilities = Capabilities::new(capability, &transport, exchange, &config.rabbit)?;
        metrics.enter(Phase::Connecting);
        if let Some(to) = &config.serve.dead_letters {
            // A mistake in its name is better said now than when the first letter is lost.
            transport.require_exchange(&to.exchange).await?;
        }
        let deliveries = transport.listen(config.subscription()).await?;
        let (shutdown, depths) = (Shutdown::default(), Depths::default());
        let queues = deliveries.queues();
        let queues = shown(&queues, &config.topics).into_iter().map(|(queue, called)| (queue.to_owned(), called));
        // Nobody else wants to know.
        let queues: Vec<_> = queues.filter(|_| config.metrics.listen.is_some()).collect();
        if capability.keyvalue != Place::Memory {
            tracing::info!(at = %capability.keyvalue, "handlers' state is kept");
        }
        let task = serve(
            config.serve.clone(),
            metrics.clone(),
            With {
                transport: transport.clone(),
                catalog: current,
                capabilities: capabilities.clone(),
                forwarding,
                journal,
                tracer,
                recordings,
            },
            deliveries,
            shutdown.clone(),
        );
        tracing::info!(
            exchange = config.subscription().exchange,
            topics = config.topics.join(","),
            server = config.server,
            max_in_flight = config.serve.max_in_flight,
            "serving"
        );
        metrics.enter(Phase::Serving);
        metrics.tell_of_depths(depths.clone());
        let (looker, looking_at, stop) = (capabilities.clone(), transport.clone(), shutdown.stop.clone());
        let behind = Behind::new(config, &transport, metrics);
        let looking = async move {
            let all = async { tokio::join!(looker.look(), looking_at.look_at(queues, depths), Behind::look(behind)) };
            stop.run_until_cancelled(all).await;
        };
        Ok(Self {
            shutdown,
            task: AbortOnDropHandle::new(tokio::spawn(task)),
            looking: AbortOnDropHandle::new(tokio::spawn(looking)),
            capabilities,
            transport,
            metrics: metrics.clone(),
            grace_period: config.serve.grace_period,
        })
    }

    /// Waits for the service to end by itself, which it does only by a fault of ours.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the service ended unexpectedly");
        }
    }

    /// Ends the service: takes nothing more, finishes what is in flight within the grace period or until `now`, gives the rest
    /// back, deletes its own queues and closes the connections. What follows the grace period has [`CLOSING`], what follows
    /// `now` has [`HURRIED`]; a broker that does not answer by then finds out by itself: it takes back what was in flight, and
    /// the queues expire. Gives whether all was done in time.
    pub async fn stop(self, now: impl Future<Output = ()>) -> bool {
        let Self { shutdown, task, looking, capabilities, transport, metrics, grace_period } = self;
        metrics.enter(Phase::Stopping);
        shutdown.stop.cancel();
        let closed = async {
            if let Err(error) = task.await {
                tracing::error!(%error, "the service ended unexpectedly");
            }
            looking.await.ok();
            capabilities.close().await;
            transport.close().await;
        };
        let hurried = async {
            now.await;
            shutdown.now.cancel();
            sleep(HURRIED).await;
        };
        tokio::select! {
            () = closed => return true,
            () = hurried => {
                tracing::warn!("not closed in order within {HURRIED:?}: what is left is the broker's to take back");
            }
            () = sleep(grace_period.saturating_add(CLOSING)) => tracing::warn!(
                "not closed in order within {CLOSING:?} after the grace period: what is left is the broker's to take back"
            ),
        }
        false
    }
}

#[cfg(test)]
#[path = "host/tests.rs"]
mod tests;
