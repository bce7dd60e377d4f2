//! `nova-host watch`: what a running service is asked, whoever serves it.
//!
//! After it: [`rabbit::Client::tap`] overhears, [`crate::inventory`] counts, [`screen`] shows, [`sample`] keeps whole messages
//! where that was asked for. Nothing is taken from the service, and nothing but names and numbers is shown.

mod sample;
mod screen;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Exit, Failed, Options, say, signals::Signals, telemetry};
use crate::{
    catalog::Catalog,
    config::Config,
    dispatch,
    envelope::Request,
    host,
    inventory::{
        Inventory, MAX_METHODS, Observed,
        report::{Report, Unseen},
        table,
    },
    metrics::Metrics,
    settings::{Bytes, Setting, patience},
    transport::{
        Url,
        rabbit::{self, Losses, Overheard, Tap},
        topology::Tapped,
    },
};
use sample::Samples;
use screen::Screen;

/// How often the screen is written anew.
const REFRESH: Duration = Duration::from_secs(1);

/// Lines of methods on a screen; the report at the end has all.
const MAX_LIVE: usize = 20;

/// Messages that `--sample` keeps, where nobody says how many.
const DEFAULT_SAMPLES: u64 = 10;

/// The longest that is waited for what is on its way at the end. Where the broker is frozen, nothing comes any more.
const ENDING: Duration = Duration::from_secs(5);

/// What is logged where there is no screen: warnings, such as of a lost connection.
const QUIET: &str = "warn,nova_host::advice=off";

/// Arguments of `watch`.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// The control exchange; left out, the configured one
    #[arg(long)]
    exchange: Option<String>,
    /// How long to watch; left out, until ctrl-c or SIGTERM
    #[arg(long = "for", value_name = "DURATION", value_parser = patience)]
    duration: Option<Duration>,
    /// Write whole messages of this method to --sample-file, arguments and credentials included
    #[arg(long, value_name = "METHOD", requires = "sample_file")]
    sample: Option<String>,
    /// A new file for them, a JSON object a line, that only its owner may read
    #[arg(long, value_name = "FILE", requires = "sample")]
    sample_file: Option<PathBuf>,
    /// How many of them
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SAMPLES, requires = "sample")]
    sample_count: u64,
    /// How many bytes of them
    #[arg(long, value_name = "SIZE", default_value = "16 MiB", value_parser = Bytes::parse, requires = "sample")]
    sample_bytes: Bytes,
}

/// Where what was overheard goes.
struct Watching {
    inventory: Inventory,
    samples: Option<Samples>,
    /// Our handlers, where they are asked.
    handlers: Option<(Arc<Catalog>, dispatch::Options)>,
    /// Why no more samples are kept.
    failure: Option<Failed>,
    since: Instant,
}

impl Watch {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let live = !options.json && Screen::is_there();
        // Lines of a log would stand in the middle of the table, which says the same.
        let config = options.load(&[("log", if live { "off" } else { QUIET })])?;
        telemetry::start(&config.log, options.json)?;
        let Url::Rabbit(address) = config.transport_url.clone() else {
            let message =
                "memory:// is this process alone, and there is nobody to watch: name a broker with --transport-url";
            return Err(Failed::new(Exit::Usage, message).into());
        };
        let handlers = match options.handlers {
            Some(_) => Some((catalog(&config).await?, config.serve.dispatch)),
            None => None,
        };
        let mut signals = Signals::new()?;
        // A queue that is bound to the control exchange would take what comes to a service by way of its alternate.
        let exchange = self.exchange.unwrap_or_else(|| config.subscription().exchange);
        let client = rabbit::Client::new(address, config.rabbit.clone());
        let tapped = Tapped { exchange: exchange.clone(), topics: config.topics.clone() };
        let tap = tokio::select! {
            tap = client.tap(tapped) => tap.map_err(Failed::from)?,
            _ = signals.next() => return Ok(()),
        };
        // Only now, so that what ends before leaves no empty file.
        let samples = match (self.sample, self.sample_file) {
            (Some(method), Some(file)) => Some(
                Samples::create(&file, method, self.sample_count, self.sample_bytes.0)
                    .map_err(|error| Failed::new(Exit::Usage, format!("--sample-file {}: {error}", file.display())))?,
            ),
            _ => None,
        };
        let inventory = Inventory::new(&exchange, &config.topics);
        let mut watching = Watching { inventory, samples, handlers, failure: None, since: Instant::now() };
        let report = watching.watch(tap, self.duration, &mut signals, live).await;
        if options.json {
            say(serde_json::to_string(&report)?);
        } else {
            table::lines(&report, MAX_METHODS).iter().for_each(say);
        }
        watching.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl Watching {
    /// Counts until the time is over or a signal comes.
    async fn watch(&mut self, mut tap: Tap, duration: Option<Duration>, signals: &mut Signals, live: bool) -> Report {
        let mut screen = live.then(Screen::open);
        let mut refresh = tokio::time::interval(REFRESH);
        let over = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let mut over = std::pin::pin!(over);
        // Until when what is on its way is waited for, once it is over.
        let mut ending: Option<tokio::time::Instant> = None;
        loop {
            tokio::select! {
                // The end first: there may always be something else to do.
                biased;
                _ = signals.next() => match ending {
                    None => ending = Some(tokio::time::Instant::now() + ENDING),
                    Some(_) => break,
                },
                () = &mut over, if ending.is_none() => ending = Some(tokio::time::Instant::now() + ENDING),
                () = until(ending) => break,
                _ = refresh.tick(), if screen.is_some() => {
                    let report = self.report(tap.losses());
                    if let Some(screen) = &mut screen {
                        screen.show(&table::lines(&report, MAX_LIVE));
                    }
                    continue;
                }
                copies = tap.next() => match copies {
                    Some(copies) => copies.iter().for_each(|copy| self.note(copy)),
                    None => break,
                },
            }
            if ending.is_some() {
                tap.stop();
            }
        }
        self.report(tap.losses())
    }

    /// Counts a message, and keeps it where that is asked for. Where it cannot be kept, counting goes on.
    fn note(&mut self, overheard: &Overheard) {
        let message = &overheard.message;
        let request = Request::decode(&message.body, message.content_type.as_deref(), message.compression.as_deref());
        let foresight = match (&self.handlers, &request) {
            (Some((catalog, options)), Ok(request)) => Some(dispatch::foresee(catalog, *options, request)),
            _ => None,
        };
        if let (Some(samples), Ok(request)) = (&mut self.samples, &request)
            && let Err(failed) = samples.offer(request, overheard)
        {
            (self.failure, self.samples) = (Some(failed), None);
        }
        self.inventory.note(Observed {
            exchange: &message.origin.exchange,
            routing_key: &message.origin.routing_key,
            bytes: message.body.len(),
            request: request.as_ref(),
            foresight,
        });
    }

    fn report(&self, losses: Losses) -> Report {
        let Losses { dropped, connections, away, is_away } = losses;
        let unseen = Unseen { dropped, connections_lost: connections, seconds_away: away.as_secs_f64(), is_away };
        Report::of(&self.inventory, self.since.elapsed(), unseen)
    }
}

/// Waits until then; for ever, where there is no such time.
async fn until(then: Option<tokio::time::Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Our handlers. One that is refused is an error here: it would be taken for a method that nobody has.
async fn catalog(config: &Config) -> Result<Arc<Catalog>, Failed> {
    let keeper = host::keeper(config, &Metrics::default()).await?;
    host::load(&keeper).await?;
    for handler in keeper.list() {
        if let Some(refused) = handler.refused {
            let file = config.handlers.directory.join(format!("{}.wasm", handler.name));
            return Err(Failed::new(Exit::Handlers, format!("{}: {}", file.display(), refused.reason)));
        }
    }
    Ok(keeper.current().get())
}
