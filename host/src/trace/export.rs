//! Sends spans to a collector: in batches, one after the other, beside everything else.
//!
//! Before it: spans wait in the [`Queue`]. After it: the collector has them, or they are counted as dropped or failed. The log
//! has a line when the collector stops taking them, and one when it begins again.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Config,
    otlp::{Export, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span, Value},
    post::{Collector, Untaken},
    queue::Queue,
    tracer::Tracer,
};
use crate::{
    capability::http::Trust,
    metrics::{Metrics, SpanFate},
    printable::printable,
};

/// Spans of one batch: OpenTelemetry's own default.
const BATCH: usize = 512;

/// The longest that a span waits for others: OpenTelemetry's own default.
const DELAY: Duration = Duration::from_secs(5);

/// How often a batch is sent that the collector does not take now.
const TRIES: u32 = 4;

/// The pause before the second time; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that a collector may ask for: what comes meanwhile waits, and then is dropped.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Time for what is left when the service ends, beside what else ends then ([`crate::host::Beside`]).
const FLUSH: Duration = Duration::from_secs(1);

/// Bytes of a reason in the log.
const MAX_REASON: usize = 200;

/// What sends spans. Dropped, it sends nothing more.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// Starts it, and gives what spans are made with.
#[must_use]
pub fn start(config: &Config, metrics: &Metrics) -> (Tracer, Exporter) {
    let (queue, spans) = Queue::new(config.queue, metrics.clone());
    let trust = Trust::new(config.ca_file.clone());
    let collector = Collector::new(config.endpoint.clone(), config.headers.clone(), trust);
    let stop = CancellationToken::new();
    let attributes = config.resource.iter();
    let attributes = attributes.map(|(name, value)| KeyValue::new(name, Value::Text(value.clone()))).collect();
    let sending = Sending {
        spans,
        collector,
        resource: Resource { attributes },
        timeout: config.timeout,
        metrics: metrics.clone(),
        stop: stop.clone(),
        state: State::Unknown,
    };
    let task = AbortOnDropHandle::new(tokio::spawn(sending.run()));
    (Tracer::new(config.sampler, queue), Exporter { stop, task })
}

impl Exporter {
    /// Sends what is left, within [`FLUSH`].
    pub async fn finish(self) {
        self.stop.cancel();
        if timeout(FLUSH, self.task).await.is_err() {
            tracing::warn!("the last spans of traces were not taken within {FLUSH:?}, and are lost");
        }
    }
}

struct Sending {
    spans: Receiver<Span>,
    collector: Collector,
    resource: Resource,
    timeout: Duration,
    metrics: Metrics,
    stop: CancellationToken,
    state: State,
}

/// What the log knows of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Takes,
    /// It does not, since then, and so many spans were lost.
    Refuses {
        since: Instant,
        lost: u64,
    },
}

impl Sending {
    async fn run(mut self) {
        loop {
            let mut batch = Vec::new();
            self.gather(&mut batch).await;
            if batch.is_empty() {
                return;
            }
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let export = Bytes::from(self.export(batch).encode_to_vec());
            let sent = self.send(&export).await;
            self.note(count, sent);
        }
    }

    /// Waits for spans: for a batch of them, or for as long as the first may wait. None are left once it is to stop.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        let Self { spans, stop, .. } = self;
        let gathering = async {
            spans.recv_many(batch, BATCH).await;
            let more = async { while batch.len() < BATCH && spans.recv_many(batch, BATCH - batch.len()).await > 0 {} };
            timeout(DELAY, more).await.ok();
        };
        if stop.run_until_cancelled(gathering).await.is_none() {
            while batch.len() < BATCH
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
        }
    }

    fn export(&self, spans: Vec<Span>) -> Export {
        let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let scope_spans = vec![ScopeSpans { scope: Some(Scope { name, version }), spans }];
        Export { resource_spans: vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }] }
    }

    /// Sends a batch, again where the collector does not take it now. Gives how many spans it has refused.
    async fn send(&mut self, export: &Bytes) -> Result<u64, String> {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let sent = timeout(self.timeout, self.collector.send(export.clone())).await;
            let untaken = match sent {
                Ok(Ok(refused)) => return Ok(refused),
                Ok(Err(untaken)) => untaken,
                Err(_) => Untaken { reason: format!("it does not answer within {:?}", self.timeout), again: None },
            };
            let Some(asked) = untaken.again.filter(|_| tries < TRIES && !self.stop.is_cancelled()) else {
                return Err(untaken.reason);
            };
            let wait = asked.unwrap_or(pause).min(LONGEST_PAUSE).mul_f64(0.75 + fastrand::f64() / 2.0);
            self.stop.run_until_cancelled(sleep(wait)).await;
            pause *= 2;
        }
        Ok(0)
    }

    /// Counts a batch, and says where something has changed.
    fn note(&mut self, count: u64, sent: Result<u64, String>) {
        let endpoint = self.collector.endpoint();
        let (failed, reason) = match sent {
            Ok(refused) => (refused.min(count), (refused > 0).then(|| "it refuses some of them".to_owned())),
            Err(reason) => (count, Some(printable(&reason, MAX_REASON))),
        };
        self.metrics.spans(SpanFate::Failed, failed);
        self.metrics.spans(SpanFate::Exported, count - failed);
        self.state = match (self.state, reason) {
            (State::Refuses { since, lost }, Some(_)) => State::Refuses { since, lost: lost + failed },
            (State::Unknown | State::Takes, Some(reason)) => {
                tracing::warn!(
                    %endpoint,
                    reason,
                    "the collector does not take the spans of traces; they are dropped and counted, requests are not affected"
                );
                State::Refuses { since: Instant::now(), lost: failed }
            }
            (State::Unknown, None) => {
                tracing::info!(%endpoint, "the collector takes the spans of traces");
                State::Takes
            }
            (State::Refuses { since, lost }, None) => {
                let after = since.elapsed();
                tracing::info!(%endpoint, ?after, lost, "the collector takes the spans of traces again");
                State::Takes
            }
            (State::Takes, None) => State::Takes,
        };
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
