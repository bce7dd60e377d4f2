//! Looks from time to time whether requests come to this service, and whether the service behind it is there.
//!
//! Before it: [`super::Host`], where requests are forwarded. After it: the log, where something has changed, and the gauges.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;

use crate::{
    catalog::describe,
    client::{self, Client, Invocation, Provenance, Target},
    config::Config,
    envelope::{Context, Text},
    metrics::Metrics,
    transport::{Routing, Transport, rabbit::Bench},
};

/// How often is looked. A Python server that answers the question itself logs that it has no such method.
const EVERY: Duration = Duration::from_secs(30);

/// How long the first look waits: the consumers are there by then.
const FIRST: Duration = Duration::from_secs(2);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Debug)]
pub(super) struct Behind {
    control_exchange: String,
    /// Whether requests come by way of the control exchange's alternate.
    has_front: bool,
    topics: Vec<String>,
    /// The queues of the service behind.
    queues: Vec<String>,
    transport: Transport,
    metrics: Metrics,
}

/// Who answers a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answerer {
    /// A Nova Host.
    Us,
    /// Another service.
    Other,
    /// Nobody, or nobody in time.
    Nobody,
}

impl Answerer {
    /// As the gauge has it.
    fn gauge(self) -> i64 {
        match self {
            Self::Us => 1,
            Self::Other => 0,
            Self::Nobody => -1,
        }
    }
}

impl Behind {
    /// `None` where nothing is forwarded.
    pub(super) fn new(config: &Config, transport: &Transport, metrics: &Metrics) -> Option<Self> {
        let forward = config.forward.as_ref()?;
        Some(Self {
            control_exchange: config.control_exchange.clone(),
            has_front: forward.front.is_some(),
            topics: config.topics.clone(),
            queues: config.topics.iter().map(|topic| forward.fallback.key(topic).to_owned()).collect(),
            transport: transport.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Looks, for as long as it is polled, where there is anything to look at.
    pub(super) async fn look(this: Option<Self>) {
        if let Some(this) = this {
            this.look_on().await;
        }
    }

    async fn look_on(self) {
        let client = Client::new(self.transport.clone());
        let (mut before, mut has_consumers, mut bench) = (BTreeMap::new(), BTreeMap::new(), None);
        sleep(FIRST).await;
        loop {
            if self.has_front {
                for topic in &self.topics {
                    let now = self.answerer(&client, topic).await;
                    self.metrics.fronts(topic, now.gauge());
                    say_who(topic, before.insert(topic, now), now);
                }
            }
            for queue in &self.queues {
                let Some(consumers) = self.count(&mut bench, queue).await else { continue };
                if has_consumers.insert(queue, consumers > 0).unwrap_or(true) && consumers == 0 {
                    tracing::error!(
                        queue,
                        "nobody consumes the queue of the service behind: what is forwarded waits there"
                    );
                }
            }
            sleep(EVERY).await;
        }
    }

    async fn answerer(&self, client: &Client, topic: &str) -> Answerer {
        match describe_topic(client, &self.control_exchange, topic).await {
            Ok(_) => Answerer::Us,
            Err(client::Error::Remote(_)) => Answerer::Other,
            Err(_) => Answerer::Nobody,
        }
    }

    /// Notes how the queue of the service behind is; gives how many consume it.
    async fn count(&self, bench: &mut Option<Bench>, queue: &str) -> Option<u32> {
        let Transport::Rabbit(rabbit) = &self.transport else { return None };
        if bench.is_none() {
            *bench = rabbit.bench().await.ok();
        }
        match bench.as_ref()?.queue(queue).await {
            Ok(state) => {
                let (messages, consumers) = state.map_or((0, 0), |state| (state.messages, state.consumers));
                self.metrics.behind(queue, messages, consumers);
                Some(consumers)
            }
            // The next look has another connection.
            Err(error) => {
                tracing::debug!(%error, "the queue of the service behind cannot be looked at");
                *bench = None;
                None
            }
        }
    }
}

/// What a Nova Host says of itself, where requests to a topic come to one.
///
/// # Errors
///
/// The client's: [`client::Error::Remote`] where they come to another service, which has no such method.
pub async fn describe_topic(client: &Client, exchange: &str, topic: &str) -> Result<Text, client::Error> {
    let mut target = Target::new(exchange, topic);
    target.namespace = Some(describe::NAMESPACE.to_owned());
    let invocation = Invocation {
        target,
        method: describe::METHOD.to_owned(),
        arguments: Text::of(&serde_json::json!({})),
        context: Context::default(),
        origin: Provenance::default(),
    };
    client.call(invocation, client::CallOptions { routing: Routing::Mandatory, ..PATIENCE.into() }).await
}

/// Says who answers a topic, where that has changed.
fn say_who(topic: &str, before: Option<Answerer>, now: Answerer) {
    match (before, now) {
        (Some(before), now) if before == now => {}
        (_, Answerer::Us) => tracing::info!(topic, "requests come to this service"),
        (Some(Answerer::Us), Answerer::Other) => tracing::error!(
            topic,
            "the service behind answers callers itself again: a Python server has been started with its old control_exchange, or \
             `nova-host forward undo` was run; `nova-host forward prepare` puts this service before it"
        ),
        (_, Answerer::Other) => tracing::warn!(
            topic,
            "the service behind answers callers itself: `nova-host forward prepare` puts this service before it"
        ),
        (_, Answerer::Nobody) => tracing::warn!(topic, "nobody has answered whether requests come to this service"),
    }
}
