//! `nova-host serve`.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failed, Options, telemetry};
use crate::{
    config::Config,
    control::socket::Listener,
    host::{self, Host},
    metrics::{Metrics, http::Exporter},
    transport::Transport,
};

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[])?;
    telemetry::start(&config.log, options.json)?;
    let control = control(&config)?;
    let mut signals = Signals::new()?;
    let metrics = Metrics::default();
    let _exporter = match config.metrics.listen {
        Some(address) => Some(Exporter::start(address, metrics.clone()).await.map_err(Failed::from)?),
        None => None,
    };
    let (keeper, watch) = host::handlers(&config, &metrics).await.map_err(Failed::from)?;
    let keeper = Arc::new(keeper);
    let transport = Transport::new(config.transport_url.clone(), config.rabbit.clone());
    let current = keeper.current().clone();
    let mut host = tokio::select! {
        host = Host::start(&config, &metrics, transport.clone(), current) => host.map_err(Failed::from)?,
        () = signals.next() => return Ok(()),
    };
    if let Some(listener) = control {
        host.control(listener, Arc::clone(&keeper), metrics);
    }
    if config.handlers.watch {
        host.watch(keeper, watch);
    }
    tokio::select! {
        () = signals.next() => {}
        () = host.ended() => anyhow::bail!("the service ended by itself"),
    }
    host.stop(signals.next()).await;
    transport.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The control socket. Where somebody has chosen its place, the service does not start without it.
fn control(config: &Config) -> Result<Option<Listener>, Failed> {
    match Listener::bind(&config.control) {
        Ok(listener) => Ok(listener),
        Err(error) if config.control.chosen => Err(Failed::new(Exit::Usage, error)),
        Err(error) => {
            tracing::warn!("{error}; until then `nova-host handlers` does not reach this host");
            Ok(None)
        }
    }
}

/// SIGTERM, which service managers send, and SIGINT, which ctrl-c sends.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
