//! `nova-host serve`.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failed, Options, telemetry};
use crate::{
    host::{self, Host},
    metrics::{Metrics, http::Exporter},
    transport::Transport,
};

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[])?;
    telemetry::start(&config.log, options.json)?;
    if config.handlers.watch {
        tracing::warn!("handlers.watch: this version loads handlers at the start only; restart to load changed ones");
    }
    let mut signals = Signals::new()?;
    let metrics = Metrics::default();
    let _exporter = match config.metrics.listen {
        Some(address) => Some(Exporter::start(address, metrics.clone()).await.map_err(Failed::from)?),
        None => None,
    };
    let handlers = host::handlers(&config, &metrics).await.map_err(Failed::from)?;
    let transport = Transport::new(config.transport_url.clone(), config.rabbit.clone());
    let mut host = tokio::select! {
        host = Host::start(&config, &metrics, transport.clone(), handlers.catalog) => host.map_err(Failed::from)?,
        () = signals.next() => return Ok(()),
    };
    tokio::select! {
        () = signals.next() => {}
        () = host.ended() => anyhow::bail!("the service ended by itself"),
    }
    host.stop(signals.next()).await;
    transport.close().await;
    tracing::info!("stopped");
    Ok(())
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
