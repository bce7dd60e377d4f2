//! Sends spans to a collector: in batches, one after the other, beside everything else.
//!
//! Before it: spans wait in the [`Queue`]. After it: the collector has them, or they are counted as dropped or failed. The log
//! has a line when the collector stops taking them or says another reason, and one when it begins again.

use std::{mem, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Config,
    otlp::{Export, KeyValue, PartialSuccess, Resource, ResourceSpans, Scope, ScopeSpans, Span, Value},
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

/// Encoded bytes at which a batch ends before that: collectors take 4 MiB and more.
const BATCH_BYTES: usize = 2 << 20;

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
    over: CancellationToken,
    task: AbortOnDropHandle<u64>,
}

/// Starts it, and gives what spans are made with.
#[must_use]
pub fn start(config: &Config, metrics: &Metrics) -> (Tracer, Exporter) {
    let (queue, spans) = Queue::new(config.queue, metrics.clone());
    let trust = Trust::new(config.ca_file.clone());
    let collector = Collector::new(config.endpoint.clone(), config.headers.clone(), trust);
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let attributes = config.resource.iter();
    let attributes = attributes.map(|(name, value)| KeyValue::new(name, Value::Text(value.clone()))).collect();
    let sending = Sending {
        spans,
        collector,
        resource: Resource { attributes },
        timeout: config.timeout,
        metrics: metrics.clone(),
        stop: stop.clone(),
        over: over.clone(),
        warning: None,
        state: State::Unknown,
    };
    let task = AbortOnDropHandle::new(tokio::spawn(sending.run()));
    (Tracer::new(config.sampler, queue), Exporter { stop, over, task })
}

impl Exporter {
    /// Sends what is left, within [`FLUSH`]. What is not taken by then has failed.
    pub async fn finish(mut self) {
        self.stop.cancel();
        if timeout(FLUSH, &mut self.task).await.is_ok() {
            return;
        }
        self.over.cancel();
        let lost = self.task.await.unwrap_or_default();
        tracing::warn!(lost, "the last spans of traces were not taken within {FLUSH:?}, and are lost");
    }
}

struct Sending {
    spans: Receiver<Span>,
    collector: Collector,
    resource: Resource,
    timeout: Duration,
    metrics: Metrics,
    /// What is there is sent, and nothing is waited for.
    stop: CancellationToken,
    /// Nothing is sent any more.
    over: CancellationToken,
    /// What the collector has said last of a batch of which it has refused nothing.
    warning: Option<String>,
    state: State,
}

/// What the log knows of the collector.
#[derive(Debug)]
enum State {
    Unknown,
    Takes,
    /// It does not, since then, and so many spans were lost.
    Refuses {
        since: Instant,
        lost: u64,
        reason: String,
    },
}

impl Sending {
    /// Gives how many spans were left when it was over.
    async fn run(mut self) -> u64 {
        let over = self.over.clone();
        let mut lost = 0;
        loop {
            let mut batch = Vec::new();
            self.gather(&mut batch).await;
            if batch.is_empty() {
                return lost;
            }
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let sending = async {
                let export = Bytes::from(self.export(batch).encode_to_vec());
                self.send(&export).await
            };
            match over.run_until_cancelled(sending).await {
                Some(sent) => self.note(count, sent),
                None => {
                    self.metrics.spans(SpanFate::Failed, count);
                    lost += count;
                }
            }
        }
    }

    /// Waits for spans: for a batch of them, or for as long as the first may wait. None are left once it is to stop.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        let Self { spans, stop, .. } = self;
        let mut bytes = 0;
        let mut has_room = |batch: &mut Vec<Span>, span: Span| {
            bytes += span.encoded_len();
            batch.push(span);
            batch.len() < BATCH && bytes < BATCH_BYTES
        };
        let gathering = async {
            let Some(first) = spans.recv().await else { return };
            if !has_room(batch, first) {
                return;
            }
            let more = async {
                while let Some(span) = spans.recv().await {
                    if !has_room(batch, span) {
                        break;
                    }
                }
            };
            timeout(DELAY, more).await.ok();
        };
        if stop.run_until_cancelled(gathering).await.is_none() {
            while let Ok(span) = spans.try_recv() {
                if !has_room(batch, span) {
                    break;
                }
            }
        }
    }

    fn export(&self, spans: Vec<Span>) -> Export {
        let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let scope_spans = vec![ScopeSpans { scope: Some(Scope { name, version }), spans }];
        Export { resource_spans: vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }] }
    }

    /// Sends a batch, again where the collector does not take it now. Gives what it says.
    async fn send(&mut self, export: &Bytes) -> Result<PartialSuccess, String> {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let Untaken { reason, again } = match self.collector.send(export.clone(), self.timeout).await {
                Ok(said) => return Ok(said),
                Err(untaken) => untaken,
            };
            let Some(asked) = again.filter(|_| tries < TRIES && !self.stop.is_cancelled()) else {
                return Err(reason);
            };
            let wait = asked.unwrap_or(pause).min(LONGEST_PAUSE).mul_f64(0.75 + fastrand::f64() / 2.0);
            self.stop.run_until_cancelled(sleep(wait)).await;
            pause *= 2;
        }
        Ok(PartialSuccess::default())
    }

    /// Counts a batch, and says where something has changed.
    fn note(&mut self, count: u64, sent: Result<PartialSuccess, String>) {
        let endpoint = &self.collector.endpoint().origin;
        let (failed, reason) = match sent {
            Ok(PartialSuccess { rejected_spans, error_message }) => {
                let refused = u64::try_from(rejected_spans).unwrap_or_default().min(count);
                let message = printable(&error_message, MAX_REASON);
                let message = Some(message).filter(|message| !message.is_empty());
                let reason = match (refused, message) {
                    (0, message) => {
                        if message.is_some() && message != self.warning {
                            tracing::warn!(%endpoint, message, "the collector takes the spans of traces, and has a warning");
                        }
                        self.warning = message;
                        None
                    }
                    (_, Some(message)) => Some(format!("it refuses some of them: {message}")),
                    (_, None) => Some("it refuses some of them".to_owned()),
                };
                (refused, reason)
            }
            Err(reason) => (count, Some(printable(&reason, MAX_REASON))),
        };
        self.metrics.spans(SpanFate::Failed, failed);
        self.metrics.spans(SpanFate::Exported, count - failed);
        self.state = match (mem::replace(&mut self.state, State::Takes), reason) {
            (State::Refuses { since, lost, reason }, Some(now)) if reason == now => {
                State::Refuses { since, lost: lost + failed, reason }
            }
            (before, Some(reason)) => {
                tracing::warn!(
                    %endpoint,
                    reason,
                    "the collector does not take the spans of traces; they are dropped and counted, requests are not affected"
                );
                let (since, lost) = match before {
                    State::Refuses { since, lost, .. } => (since, lost),
                    State::Unknown | State::Takes => (Instant::now(), 0),
                };
                State::Refuses { since, lost: lost + failed, reason }
            }
            (State::Unknown, None) => {
                tracing::info!(%endpoint, "the collector takes the spans of traces");
                State::Takes
            }
            (State::Refuses { since, lost, .. }, None) => {
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
