//! `nova-host serve`: from the configuration to the end, with an ear for signals all along.
//!
//! Before it: [`super::Cli`], in two steps: [`prepare`] before there are threads, [`run`] with them. After it: [`crate::host`]. The first signal ends the service in order, or at once where it does not
//! serve yet; the second ends the wait for that.

mod places;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Exit, Failed, Options, panics,
    signals::{Hangup, Signals},
    systemd::Systemd,
    telemetry,
};
use crate::{
    admin::Admin,
    catalog::watch::{Looks, Wish},
    config::Config,
    confine::{self, Confined},
    control::socket::Listener,
    forward::Forwarding,
    host::{self, Beside, Host, Observers},
    journal::Recorder,
    levels::Levels,
    metrics::{Metrics, http::Exporter},
    operate::Operated,
    page::{
        board::{Board, Shown},
        tail::Tail,
    },
    recording::Keeper,
    trace::{self, Tracer},
    transport::Transport,
};

/// What is done before there are threads.
#[derive(Debug)]
pub(super) struct Prepared {
    config: Config,
    /// What was given up; `None` where the configuration says to give up nothing.
    confined: Option<Confined>,
}

/// Reads the configuration, and gives up what it does not need.
pub(super) fn prepare(options: &Options) -> anyhow::Result<Prepared> {
    let config = options.load(&[])?;
    let confined = config.confinement.enabled.then(|| confine::serving(&places::places(&config)));
    Ok(Prepared { config, confined })
}

pub(super) async fn run(Prepared { config, confined }: Prepared, options: &Options) -> anyhow::Result<()> {
    // Nobody looks at the end of the log where there is no page.
    let tail = config.admin.listen.as_ref().map(|_| Tail::default());
    let levels = telemetry::start_with(&config.log, options.json, tail.clone())?;
    panics::log();
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    match &confined {
        Some(confined) => confined.log(),
        None => tracing::warn!(
            "confinement.enabled is false: what gets out of the sandbox can do all that this user can; see docs/security.md"
        ),
    }
    let control = control(&config)?;
    let mut signals = Signals::new()?;
    let metrics = Metrics::default();
    let systemd = Arc::new(Systemd::start(metrics.clone()));
    let (looks, wish) = Looks::new(config.handlers.watch);
    let admin = Admin::bind(&config.admin).await.map_err(Failed::from)?;
    let files = admin.as_ref().map(Admin::wish);
    let _reloading = AbortOnDropHandle::new(tokio::spawn(reload(Hangup::new()?, Arc::clone(&systemd), wish, files)));
    let _exporter = match config.metrics.listen {
        Some(address) => Some(Exporter::start(address, metrics.clone()).await.map_err(Failed::from)?),
        None => None,
    };
    let (tracer, spans) = match config.trace.as_ref().map(|config| trace::start(config, &metrics)) {
        Some((tracer, spans)) => (tracer, Some(spans)),
        None => (Tracer::default(), None),
    };
    let record = config.record.as_ref().filter(|record| record.records());
    let recordings = record.map(|record| Keeper::start(record, &metrics)).transpose();
    let recordings = recordings.map_err(|error| Failed::new(Exit::Usage, error))?;
    let beside = Beside::default();
    let doors = Doors { control, admin, levels, tail };
    let started = start(&config, doors, &metrics, &beside, (looks, tracer, recordings));
    let served = serve(started, &systemd, &mut signals).await;
    let flush = async {
        if let Some(spans) = spans {
            spans.finish().await;
        }
    };
    tokio::join!(beside.end(), flush);
    served
}

/// Where operators come in.
struct Doors {
    control: Option<Listener>,
    admin: Option<Admin>,
    levels: Levels,
    tail: Option<Tail>,
}

/// Starts, serves, and stops when told to.
async fn serve(
    starting: impl Future<Output = Result<Host, Failed>>,
    systemd: &Systemd,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let started = tokio::select! {
        started = starting => Some(started?),
        signal = signals.next() => {
            tracing::info!(signal, "stopped before it has served");
            None
        }
    };
    let Some(mut host) = started else { return Ok(()) };
    let signal = tokio::select! {
        signal = signals.next() => signal,
        () = host.ended() => anyhow::bail!("the service ended by itself"),
    };
    tracing::info!(signal, "told to stop; another signal ends the wait for what is in flight");
    let again = async {
        let signal = signals.next().await;
        tracing::warn!(signal, "told to stop at once");
    };
    tokio::join!(systemd.stopping(), host.stop(again));
    tracing::info!("stopped");
    Ok(())
}

/// Loads the handlers, and waits for the broker. Operators are answered from the beginning.
///
/// # Cancel safety
///
/// Dropped half-way, nothing is served.
async fn start(
    config: &Config,
    doors: Doors,
    metrics: &Metrics,
    beside: &Beside,
    (looks, tracer, recordings): (Looks, Tracer, Option<Keeper>),
) -> Result<Host, Failed> {
    let keeper = host::keeper(config, metrics).await?;
    if config.confinement.enabled
        && let Err(error) = confine::no_dumps()
    {
        tracing::warn!(%error, "this process can be dumped, with what its handlers have in memory");
    }
    let forwarding = Forwarding::new(config.forward.as_ref());
    let Doors { control, admin, levels, tail } = doors;
    let journal = Recorder::default();
    let operated = Operated {
        keeper: Arc::clone(&keeper),
        metrics: metrics.clone(),
        levels,
        forwarding: forwarding.clone(),
        journal: journal.clone(),
    };
    if let Some(listener) = control {
        beside.control(listener, operated.clone());
    }
    if let Some(admin) = admin {
        let (keeper, metrics, server) = (Arc::clone(&keeper), metrics.clone(), config.server.clone());
        let shown = Shown { keeper, metrics, recorder: journal.clone(), tail: tail.unwrap_or_default(), server };
        beside.admin(admin, operated, Board::new(shown));
    }
    let scan = host::load(&keeper).await?;
    let current = keeper.current().clone();
    beside.lead(Arc::clone(&keeper));
    beside.watch(keeper, scan, looks);
    let transport = Transport::new(config.transport_url.clone(), config.rabbit.clone());
    if let Some(connections) = transport.connections() {
        metrics.tell_of(connections);
    }
    Ok(Host::start(config, metrics, transport, current, forwarding, Observers { journal, tracer, recordings }).await?)
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

/// Has the handlers' files, and those of the admin API, looked at at each SIGHUP, for as long as it is polled.
async fn reload(mut hangup: Hangup, systemd: Arc<Systemd>, wish: Wish, files: Option<Arc<Notify>>) {
    while hangup.next().await {
        tracing::info!(
            "SIGHUP: the files of handlers and of the admin API are looked at now; what else is configured takes a restart"
        );
        files.iter().for_each(|files| files.notify_one());
        systemd.reloading(wish.look()).await;
    }
}
