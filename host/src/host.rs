//! Wires the stages; knows everyone.
//!
//! Before it: [`crate::cli`] has the configuration. After it: [`crate::serve`] runs.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    catalog::{
        Catalog, Current,
        load::{self, Refused},
    },
    config::Config,
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
}

/// Loaded handlers, ready to be served.
#[derive(Debug)]
pub struct Handlers {
    /// What is served.
    pub catalog: Catalog,
    /// What is not, and why.
    pub refused: Vec<Refused>,
}

/// A service that runs in this process.
#[derive(Debug)]
pub struct Host {
    shutdown: Shutdown,
    task: AbortOnDropHandle<()>,
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

/// Loads every handler, and logs what was loaded and what was refused.
///
/// # Errors
///
/// [`Error`], where not even the directory is there. A broken handler is not an error.
pub async fn handlers(config: &Config, metrics: &Metrics) -> Result<Handlers, Error> {
    let sandbox = sandbox(config, metrics)?;
    let directory = &config.handlers.directory;
    let (catalog, refused) = load::directory(directory, &sandbox, &config.limits)
        .await
        .map_err(|source| Error::Handlers { path: directory.display().to_string(), source })?;
    for generation in catalog.generations() {
        let methods: usize = generation.endpoints.iter().map(|endpoint| endpoint.methods.len()).sum();
        let digest = generation.program.digest().short();
        tracing::info!(handler = generation.name, digest, generation = generation.number, methods, "handler loaded");
        metrics.loaded(&generation.name, generation.number);
    }
    for Refused { path, reason } in &refused {
        tracing::error!(path = %path.display(), "handler refused: {reason}");
        metrics.load_refused();
    }
    if catalog.generations().is_empty() {
        tracing::warn!(directory = %directory.display(), "no handler is served: every call will be refused");
    }
    Ok(Handlers { catalog, refused })
}

impl Host {
    /// Subscribes and starts serving. Returns once the queues are there.
    ///
    /// # Errors
    ///
    /// [`transport::Error::Refused`] where the broker refuses; a broker that is down is waited for.
    pub async fn start(
        config: &Config,
        metrics: &Metrics,
        transport: Transport,
        catalog: Catalog,
    ) -> Result<Self, transport::Error> {
        let current = Current::default();
        current.replace(catalog);
        let deliveries = transport.listen(config.subscription()).await?;
        let shutdown = Shutdown::default();
        let task = serve(config.serve.clone(), metrics.clone(), transport, current, deliveries, shutdown.clone());
        tracing::info!(
            exchange = config.control_exchange,
            topics = config.topics.join(","),
            server = config.server,
            max_in_flight = config.serve.max_in_flight,
            "serving"
        );
        Ok(Self { shutdown, task: AbortOnDropHandle::new(tokio::spawn(task)) })
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
        let mut task = self.task;
        tokio::select! {
            _ = &mut task => return,
            () = now => hurry.cancel(),
        }
        if let Err(error) = task.await {
            tracing::error!(%error, "the service ended unexpectedly");
        }
    }
}
