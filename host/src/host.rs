//! Wires the stages; knows everyone.
//!
//! Before it: [`crate::cli`] has the configuration. After it: [`crate::serve`] runs.

use std::sync::Arc;

use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    capability::{
        Capabilities,
        keyvalue::{OpenError, Place},
    },
    catalog::{
        Current,
        keeper::Keeper,
        watch::{self, Watch},
    },
    config::Config,
    control::{self, socket::Listener},
    metrics::Metrics,
    sandbox::{self, Compiler, Sandbox, SetUpError},
    serve::{Shutdown, serve},
    transport::{self, Transport},
};

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
    /// What goes on beside serving and ends when it stops.
    beside: TaskTracker,
    capabilities: Capabilities,
}

/// Makes the sandbox that the configuration asks for.
///
/// # Errors
///
/// [`SetUpError`].
pub fn sandbox(config: &Config, metrics: &Metrics) -> Result<Arc<Sandbox>, SetUpError> {
    let compiler = Compiler::Child(config.handlers.compile.clone());
    let cache = config.handlers.cache.as_deref();
    let (max_in_flight, stack) = (config.serve.max_in_flight, config.limits.stack);
    Sandbox::new(sandbox::Config { max_in_flight, stack, cache, compiler }, metrics.clone()).map(Arc::new)
}

/// Loads every handler, and logs what was loaded and what was refused. Gives along what there is to watch.
///
/// # Errors
///
/// [`Error`], where not even the directory is there. A broken handler is not an error.
pub async fn handlers(config: &Config, metrics: &Metrics) -> Result<(Keeper, Watch), Error> {
    let sandbox = sandbox(config, metrics)?;
    let directory = &config.handlers.directory;
    let opened = Keeper::open(&config.handlers, &config.limits, sandbox, metrics.clone()).await;
    let (keeper, watch) = opened.map_err(|source| Error::Handlers { path: directory.display().to_string(), source })?;
    if keeper.current().get().generations().is_empty() {
        tracing::warn!(directory = %directory.display(), "no handler is served: every call will be refused");
    }
    Ok((keeper, watch))
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
    ) -> Result<Self, Error> {
        let (capability, exchange) = (&config.capability, &config.control_exchange);
        let capabilities = Capabilities::new(capability, &transport, exchange, &config.rabbit)?;
        if let Some(to) = &config.serve.dead_letters {
            // A mistake in its name is better said now than when the first letter is lost.
            transport.require_exchange(&to.exchange).await?;
        }
        warn_of_impatient_queues(config);
        let deliveries = transport.listen(config.subscription()).await?;
        let (shutdown, beside) = (Shutdown::default(), TaskTracker::new());
        if capability.keyvalue != Place::Memory {
            tracing::info!(at = %capability.keyvalue, "handlers' state is kept");
        }
        let task = serve(
            config.serve.clone(),
            metrics.clone(),
            transport,
            current,
            capabilities.clone(),
            deliveries,
            shutdown.clone(),
        );
        tracing::info!(
            exchange = config.control_exchange,
            topics = config.topics.join(","),
            server = config.server,
            max_in_flight = config.serve.max_in_flight,
            "serving"
        );
        let (looking, stop) = (capabilities.clone(), shutdown.stop.clone());
        beside.spawn(async move { stop.run_until_cancelled(looking.look()).await });
        Ok(Self { shutdown, task: AbortOnDropHandle::new(tokio::spawn(task)), beside, capabilities })
    }

    /// Exchanges handlers as their files change, until the service stops.
    pub fn watch(&self, keeper: Arc<Keeper>, watch: Watch) {
        self.beside.spawn(watch::watch(keeper, watch, self.shutdown.stop.clone()));
    }

    /// Lets operators exchange handlers, until the service stops.
    pub fn control(&self, listener: Listener, keeper: Arc<Keeper>, metrics: Metrics) {
        tracing::info!(socket = %listener.path().display(), "listening for `nova-host handlers`");
        self.beside.spawn(control::serve(listener, keeper, metrics, self.shutdown.stop.clone()));
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

    /// Ends the service: takes nothing more, finishes what is in flight within the grace period or until `now`.
    pub async fn stop(self, now: impl Future<Output = ()>) {
        self.shutdown.stop.cancel();
        let hurry: CancellationToken = self.shutdown.now.clone();
        self.beside.close();
        self.beside.wait().await;
        let mut task = self.task;
        tokio::select! {
            _ = &mut task => return self.capabilities.close().await,
            () = now => hurry.cancel(),
        }
        if let Err(error) = task.await {
            tracing::error!(%error, "the service ended unexpectedly");
        }
        self.capabilities.close().await;
    }
}

/// Says so where the broker drops a message before we would answer its caller: after more deliveries than its limit.
fn warn_of_impatient_queues(config: &Config) {
    let (limit, attempts) = (config.rabbit.declare.rabbit_quorum_delivery_limit, config.serve.max_attempts);
    if config.rabbit.declare.rabbit_quorum_queue && limit > 0 && (attempts == 0 || attempts > limit) {
        tracing::warn!(
            limit,
            attempts,
            "rabbit.rabbit_quorum_delivery_limit is less than delivery.max_attempts: the broker drops a request before \
             its caller is told"
        );
    }
}
