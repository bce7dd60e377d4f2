//! `nova-host call` and `nova-host cast`: a client over any transport.
//!
//! With `memory://` the service runs in the same process, for this one request: the local loop without a broker.

use std::time::Duration;

use super::{Exit, Failed, Options, complain, say, telemetry};
use crate::{
    client::{self, Client, Invocation, Provenance, Target},
    config::Config,
    envelope::{Context, Text},
    host::{self, Host, Observers},
    metrics::Metrics,
    recording::Keeper,
    settings::{Setting, patience},
    transport::{Retry, Routing, Transport, Url},
    version::Version,
};

/// What a service in this process logs of a call: its failure is printed anyway.
const QUIET_CALL: &str = "warn,nova_host::serve=off,nova_host::advice=off";

/// And of a cast, whose failure nobody else tells.
const QUIET_CAST: &str = "warn,nova_host::advice=off";

/// The shortest call-monitor timeout: servers send a heartbeat every half of it, and no oftener than once a second.
const MIN_MONITOR: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
struct What {
    /// The method
    method: String,
    /// Its keyword arguments: a JSON object
    #[arg(default_value = "{}", value_name = "ARGUMENTS")]
    arguments: String,
    /// The namespace; left out, the null namespace
    #[arg(long)]
    namespace: Option<String>,
    /// The version that is needed; left out, 1.0
    #[arg(long = "version", value_name = "VERSION")]
    wanted: Option<String>,
    /// Send nothing of a higher version than this
    #[arg(long, value_name = "VERSION", value_parser = str::parse::<Version>)]
    version_cap: Option<Version>,
    /// The control exchange; left out, the configured one
    #[arg(long)]
    exchange: Option<String>,
    /// One server of the topic instead of any
    #[arg(long)]
    server: Option<String>,
    /// The request context: a JSON object
    #[arg(long, default_value = "{}", value_name = "JSON")]
    context: String,
    /// How long to wait for the broker and the reply
    #[arg(long, default_value = "60s", value_parser = patience)]
    timeout: Duration,
    /// How often to try again to reach the broker, within the timeout; 0 is one attempt, -1 as many as it takes
    #[arg(long, default_value = "-1", value_name = "TIMES", value_parser = retry, allow_negative_numbers = true)]
    retry: Retry,
}

/// Arguments of `call`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct Call {
    #[command(flatten)]
    what: What,
    /// Ask the server for heartbeats, and give up when none comes for so long; at least 2s
    #[arg(long, value_name = "DURATION", value_parser = monitor)]
    call_monitor_timeout: Option<Duration>,
    /// Not for calls: who of all would answer?
    #[arg(long, hide = true)]
    fanout: bool,
}

/// Arguments of `cast`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct Cast {
    #[command(flatten)]
    what: What,
    /// Every server of the topic instead of any
    #[arg(long, conflicts_with = "server")]
    fanout: bool,
}

impl Call {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", QUIET_CALL)])?;
        let how = client::CallOptions { monitor: self.call_monitor_timeout, ..self.what.options() };
        let invocation = self.what.invocation(&config, self.fanout)?;
        // Before anything is started or connected.
        invocation.check_call(&how).map_err(Failed::from)?;
        let session = Session::start(&config, options).await?;
        let called = session.client.call(invocation, how).await;
        session.end().await;
        match called {
            Ok(result) => {
                say(result.get());
                Ok(())
            }
            Err(client::Error::Remote(failure)) if options.json => {
                complain(failure.encode());
                Err(Failed::new(Exit::Remote, "").into())
            }
            Err(error) => Err(Failed::from(error).into()),
        }
    }
}

impl Cast {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", QUIET_CAST)])?;
        let how = self.what.options();
        let invocation = self.what.invocation(&config, self.fanout)?;
        invocation.check_cast(&how).map_err(Failed::from)?;
        let session = Session::start(&config, options).await?;
        let cast = session.client.cast(invocation, how).await;
        session.end().await;
        Ok(cast.map_err(Failed::from)?)
    }
}

impl What {
    /// Whoever types wants to know at once that nobody is there.
    fn options(&self) -> client::CallOptions {
        client::CallOptions {
            timeout: self.timeout,
            monitor: None,
            retry: self.retry,
            routing: Routing::Mandatory,
            version_cap: self.version_cap,
        }
    }

    fn invocation(self, config: &Config, fanout: bool) -> Result<Invocation, Failed> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| {
            Failed::new(Exit::Usage, format!("{what}: not a JSON object, such as '{{\"a\": 1}}': {why}"))
        };
        let arguments = Text::parse(self.arguments).map_err(|error| wrong("arguments", &error))?;
        if arguments.python_type() != "dict" {
            return Err(wrong("arguments", &format!("it is a {}", arguments.python_type())));
        }
        let context = Context::from_json(&self.context).map_err(|error| wrong("--context", &error))?;
        let target = Target {
            exchange: self.exchange.unwrap_or_else(|| config.control_exchange.clone()),
            topic: topic(config)?.to_owned(),
            server: self.server,
            fanout,
            namespace: self.namespace,
            version: self.wanted,
        };
        Ok(Invocation { target, method: self.method, arguments, context, origin: Provenance::default() })
    }
}

/// oslo.messaging's `retry`.
fn retry(text: &str) -> Result<Retry, String> {
    match text {
        "-1" => Ok(Retry::Forever),
        _ => text
            .parse()
            .map(Retry::Times)
            .map_err(|_| "it takes a number of times, or -1 for as many as it takes".into()),
    }
}

fn monitor(text: &str) -> Result<Duration, String> {
    let monitor = Duration::parse(text)?;
    if monitor < MIN_MONITOR {
        return Err("at least 2s: servers send a heartbeat every half of it, and no oftener than once a second".into());
    }
    Ok(monitor)
}

fn topic(config: &Config) -> Result<&str, Failed> {
    match config.topics.as_slice() {
        [topic] => Ok(topic),
        topics => Err(Failed::new(Exit::Usage, format!("which topic? choose with --topic: {}", topics.join(", ")))),
    }
}

/// A client, with the service beside it where the transport is this process.
struct Session {
    client: Client,
    transport: Transport,
    host: Option<Host>,
}

impl Session {
    async fn start(config: &Config, options: &Options) -> anyhow::Result<Self> {
        telemetry::start(&config.log, options.json)?;
        let transport = Transport::new(config.transport_url.clone(), config.rabbit.clone());
        let host = match config.transport_url {
            Url::Memory => {
                let metrics = Metrics::default();
                let keeper = host::keeper(config, &metrics).await.map_err(Failed::from)?;
                host::load(&keeper).await.map_err(Failed::from)?;
                let current = keeper.current().clone();
                let record = config.record.as_ref().filter(|record| record.records());
                let recordings = record.map(|record| Keeper::start(record, &metrics)).transpose();
                let recordings = recordings.map_err(|error| Failed::new(Exit::Usage, error))?;
                let observers = Observers { recordings, ..Observers::default() };
                Some(
                    Host::start(config, &metrics, transport.clone(), current, None, observers)
                        .await
                        .map_err(Failed::from)?,
                )
            }
            Url::Rabbit(_) => None,
        };
        Ok(Self { client: Client::new(transport.clone()), transport, host })
    }

    /// Lets the service finish what it was sent, then ends it.
    async fn end(self) {
        self.client.close().await;
        if let Some(host) = self.host {
            self.transport.drained().await;
            host.stop(std::future::pending()).await;
        }
        self.transport.close().await;
    }
}
