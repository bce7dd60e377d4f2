//! `nova-host call` and `nova-host cast`: a client over any transport.
//!
//! With `memory://` the service runs in the same process, for this one request: the local loop without a broker.

use std::time::Duration;

use super::{Exit, Failed, Options, complain, say, telemetry};
use crate::{
    client::{self, Client, Invocation},
    config::Config,
    envelope::{Context, Text},
    host::{self, Host},
    settings::Setting,
    transport::{Destination, Transport, Url},
};

/// What a service in this process logs of a call: its failure is printed anyway.
const QUIET_CALL: &str = "warn,nova_host::serve=off";

/// And of a cast, whose failure nobody else tells.
const QUIET_CAST: &str = "warn";

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
    /// One server of the topic instead of any
    #[arg(long)]
    server: Option<String>,
    /// The request context: a JSON object
    #[arg(long, default_value = "{}", value_name = "JSON")]
    context: String,
    /// How long to wait for the broker and the reply
    #[arg(long, default_value = "60s", value_parser = Duration::parse)]
    timeout: Duration,
}

/// Arguments of `call`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub(super) struct Call {
    #[command(flatten)]
    what: What,
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
        let timeout = self.what.timeout;
        let destination = self.what.destination(&config)?;
        let invocation = self.what.invocation(destination)?;
        let session = Session::start(&config, options).await?;
        let called = session.client.call(invocation, timeout).await;
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
        let timeout = self.what.timeout;
        let destination = match self.fanout {
            true => Destination::Fanout { topic: topic(&config)?.to_owned() },
            false => self.what.destination(&config)?,
        };
        let invocation = self.what.invocation(destination)?;
        let session = Session::start(&config, options).await?;
        let cast = session.client.cast(invocation, timeout).await;
        session.end().await;
        Ok(cast.map_err(Failed::from)?)
    }
}

impl What {
    fn destination(&self, config: &Config) -> Result<Destination, Failed> {
        let (exchange, topic) = (config.control_exchange.clone(), topic(config)?.to_owned());
        Ok(match &self.server {
            Some(server) => Destination::Server { exchange, topic, server: server.clone() },
            None => Destination::Topic { exchange, topic },
        })
    }

    fn invocation(self, destination: Destination) -> Result<Invocation, Failed> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| {
            Failed::new(Exit::Usage, format!("{what}: not a JSON object, such as '{{\"a\": 1}}': {why}"))
        };
        let arguments = Text::parse(self.arguments).map_err(|error| wrong("arguments", &error))?;
        if arguments.python_type() != "dict" {
            return Err(wrong("arguments", &format!("it is a {}", arguments.python_type())));
        }
        let context = Context::from_json(&self.context).map_err(|error| wrong("--context", &error))?;
        Ok(Invocation {
            destination,
            namespace: self.namespace,
            version: self.wanted,
            method: self.method,
            arguments,
            context,
        })
    }
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
                let (keeper, _) = host::handlers(config).await.map_err(Failed::from)?;
                let current = keeper.current().clone();
                Some(Host::start(config, transport.clone(), current).await.map_err(Failed::from)?)
            }
            Url::Rabbit(_) => None,
        };
        Ok(Self { client: Client::new(transport.clone()), transport, host })
    }

    /// Lets the service finish what it was sent, then ends it.
    async fn end(self) {
        if let Some(host) = self.host {
            self.transport.drained().await;
            host.stop(std::future::pending()).await;
        }
        self.transport.close().await;
    }
}
