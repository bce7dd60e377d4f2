//! What one request of a handler does to the world.
//!
//! Before it: [`crate::dispatch`] opens it for a request. The guest calls and casts through it. After it:
//! [`Session::release`] sends what was held, once the handler has succeeded; a session that is dropped before leaves
//! nothing behind. Everything is held against the grants and the limits here, and nowhere else.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{sync::Semaphore, task::AbortHandle, time::Instant};

use super::{
    Allowance, Capabilities, Effects, Error, Grants, Outgoing, Unreleased,
    brokers::Broker,
    http::Meter,
    keyvalue::{self, Bucket, Write},
    outgoing::{Checked, breathe},
};
use crate::{
    client::{self, CallOptions, DEFAULT_TIMEOUT, Provenance},
    envelope::{Context, Text},
    lending::Standing,
    metrics::{Effect, Handler, Limit, Sending, Sent},
    printable::printable,
    trace::Span,
    transport::{Retry, Routing},
};

/// Bytes of a name in the log.
const MAX_SHOWN: usize = 64;

/// What one request may do, and has done.
#[derive(Debug)]
pub struct Session {
    pub(super) capabilities: Capabilities,
    pub(super) grants: Arc<Grants>,
    pub(super) allowance: Allowance,
    pub(super) metrics: Handler,
    pub(super) cause: Cause,
    /// The handler's state, where it may keep any.
    pub(super) bucket: Option<Bucket>,
    /// What its HTTP requests have sent and received.
    pub(super) meter: Arc<Meter>,
    /// Places for those that are under way.
    pub(super) fetching: Arc<Semaphore>,
    /// How many there were.
    pub(super) fetched: AtomicU32,
    used: Mutex<Used>,
    /// What the request holds, where others may need it.
    standing: Option<Arc<Standing>>,
}

/// The request that is handled: whatever its handler sends is a consequence of it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Its context, which travels on.
    pub context: Context,
    /// How many requests of handlers led to it.
    pub hops: u32,
    /// Its sender's mark.
    pub unique_id: Option<String>,
    /// When its handler is stopped.
    pub deadline: std::time::Instant,
    /// How long the effects of a handler that has succeeded may take.
    pub release: Duration,
    /// Its trace.
    pub spans: Spans,
}

/// What is recorded of a request, as far as its session adds to it.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// The request itself.
    pub request: Span,
    /// Its handler's run.
    pub run: Span,
}

/// What it has done so far.
#[derive(Debug, Default)]
pub(super) struct Used {
    requests: u32,
    casts: u32,
    pub(super) writes: BTreeMap<String, Write>,
    /// Bytes of their keys and values.
    pub(super) written: usize,
    sent: usize,
    received: usize,
    /// Whether the log knows that it has wanted too much.
    pub(super) told: bool,
    held: Vec<Held>,
    /// HTTP requests that may be under way: none outlasts the session.
    pub(super) fetches: Vec<AbortHandle>,
}

/// A cast that waits for the handler's success.
#[derive(Debug)]
struct Held {
    request: Checked,
    unique_id: Option<String>,
}

impl Session {
    /// Opens a session for one request of a handler.
    #[must_use]
    pub fn new(
        capabilities: &Capabilities,
        grants: &Arc<Grants>,
        allowance: &Allowance,
        metrics: &Handler,
        cause: Cause,
    ) -> Self {
        let bucket = grants.keyvalue.then(|| Bucket {
            store: capabilities.store().clone(),
            handler: metrics.name().to_owned(),
            quota: allowance.keyvalue.0,
        });
        Self {
            capabilities: capabilities.clone(),
            grants: Arc::clone(grants),
            allowance: allowance.clone(),
            metrics: metrics.clone(),
            cause,
            bucket,
            meter: Arc::new(Meter::new(allowance.http_bytes.0, metrics.clone())),
            fetching: Arc::new(Semaphore::new(allowance.http_outstanding.into())),
            fetched: AtomicU32::new(0),
            used: Mutex::default(),
            standing: None,
        }
    }

    /// The same for a request that lends what it holds while it waits for a call.
    #[must_use]
    pub fn standing(mut self, standing: Arc<Standing>) -> Self {
        self.standing = Some(standing);
        self
    }

    /// Calls and waits for the result, no longer than the handler may run.
    ///
    /// # Errors
    ///
    /// [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the request may be handled or not; its reply is dropped.
    pub async fn call(&self, request: Outgoing) -> Result<Text, Error> {
        let started = Instant::now();
        let shown = request.shown(MAX_SHOWN);
        let called = self.try_call(request).await;
        self.note(Sending::Call, &shown, called.as_ref().err());
        self.metrics.called_in(started.elapsed());
        called
    }

    /// Calls all at once, as far as the limit allows, and gives the results in the order of the requests.
    ///
    /// # Cancel safety
    ///
    /// As [`Session::call`].
    pub async fn call_many(&self, requests: Vec<Outgoing>) -> Vec<Result<Text, Error>> {
        let at_once = usize::from(self.allowance.outstanding);
        let mut calls = stream::iter(requests).map(|request| self.call(request)).buffered(at_once);
        let mut results = Vec::new();
        while let Some(result) = calls.next().await {
            results.push(result);
            // Refused, they wait for nothing, and there may be tens of thousands.
            breathe(results.len()).await;
        }
        results
    }

    /// Casts, to every server of the topic where `fanout` says so: now, or when the handler has succeeded.
    ///
    /// # Errors
    ///
    /// [`Error`]; of a cast that is held, only what is wrong with the request.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the cast may have been sent or not.
    pub async fn cast(&self, request: Outgoing, fanout: bool) -> Result<(), Error> {
        let shown = request.shown(MAX_SHOWN);
        let cast = self.try_cast(request, fanout).await;
        self.note(if fanout { Sending::Fanout } else { Sending::Cast }, &shown, cast.as_ref().err());
        cast
    }

    /// Keeps the state that was held, and sends the casts in the order of the handler's making, each confirmed before the
    /// next. The handler has succeeded.
    ///
    /// # Errors
    ///
    /// [`Unreleased`] where the store does not take the state, or the broker not a cast; that and what comes after it are
    /// not done.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, some are sent.
    pub async fn release(&self) -> Result<(), Unreleased> {
        let (writes, held) = {
            let mut used = self.used();
            used.written = 0;
            (mem::take(&mut used.writes), mem::take(&mut used.held))
        };
        let (state, casts) = (writes.len(), held.len());
        let until = Instant::now() + self.cause.release;
        let span = self.releases(state, casts);
        // State first: all of it or none, and casts may be about it.
        let put = tokio::time::timeout_at(until, self.put(writes)).await;
        if let Err(error) = put.unwrap_or(Err(keyvalue::Error::Broken)) {
            span.fail("state");
            self.metrics.effects(Effect::Failed, state);
            self.metrics.effects(Effect::Discarded, casts);
            return Err(Unreleased { released: 0, all: state + casts, reason: error.to_string() });
        }
        self.metrics.effects(Effect::Released, state);
        for (released, Held { request, unique_id }) in held.into_iter().enumerate() {
            let left = until.saturating_duration_since(Instant::now());
            if let Err(error) = self.send(request, unique_id, left, &span).await {
                span.fail(error.ending().as_str());
                self.metrics.effects(Effect::Failed, 1);
                self.metrics.effects(Effect::Discarded, casts - released - 1);
                return Err(Unreleased { released: state + released, all: state + casts, reason: error.text() });
            }
            self.metrics.effects(Effect::Released, 1);
        }
        Ok(())
    }

    async fn try_call(&self, request: Outgoing) -> Result<Text, Error> {
        let left = self.time_left();
        let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT).min(left);
        let monitor = request.monitor;
        let request = self.admit(request, false)?;
        if timeout.is_zero() {
            return Err(Error::TimedOut(format!("no time is left to call {}", request.method)));
        }
        let broker = self.broker(&request)?;
        let options = CallOptions { timeout, monitor, ..options(left) };
        let span = self.sends("call", &request, &self.cause.spans.run);
        let (context, origin) = self.consequence(None, &span);
        let invocation = request.invocation(&broker.exchange, context, origin);
        let calling = broker.client.call(invocation, options);
        let called = match &self.standing {
            Some(standing) => standing.waiting_for(calling).await,
            None => calling.await,
        };
        let called = called.map_err(Error::from).inspect_err(|error| error.mark(&span));
        span.end();
        let length = match &called {
            Ok(result) => result.get().len(),
            Err(Error::Remote(failure)) => failure.encode().len(),
            Err(_) => 0,
        };
        self.receive(length).inspect_err(|error| error.mark(&span))?;
        called
    }

    async fn try_cast(&self, request: Outgoing, fanout: bool) -> Result<(), Error> {
        let request = self.admit(request, fanout)?;
        // What is known now is better said now than when it is too late.
        let broker = self.broker(&request)?;
        let check = request.clone().invocation(&broker.exchange, Context::default(), Provenance::default());
        check.check_cast(&CallOptions::default())?;
        let number = {
            let mut used = self.used();
            used.casts += 1;
            used.casts
        };
        let unique_id = self.cause.unique_id.as_ref().map(|cause| request.mark(cause, number));
        match self.grants.effects {
            Effects::Held => {
                self.holds("a cast", &request.recipient.topic);
                self.used().held.push(Held { request, unique_id });
                Ok(())
            }
            Effects::Immediate => self.send(request, unique_id, self.time_left(), &self.cause.spans.run).await,
        }
    }

    /// Sends a cast and waits until the broker has it.
    async fn send(
        &self,
        request: Checked,
        unique_id: Option<String>,
        left: Duration,
        above: &Span,
    ) -> Result<(), Error> {
        let broker = self.broker(&request)?;
        let span = self.sends("cast", &request, above);
        let (context, origin) = self.consequence(unique_id, &span);
        let invocation = request.invocation(&broker.exchange, context, origin);
        broker.client.cast(invocation, options(left)).await.map_err(Error::from).inspect_err(|error| error.mark(&span))
    }

    /// Holds a request against grants and limits, and counts it.
    fn admit(&self, request: Outgoing, fanout: bool) -> Result<Checked, Error> {
        let mut used = self.used();
        used.requests = used.requests.saturating_add(1);
        if used.requests > self.allowance.requests {
            self.metrics.hit(Limit::RpcRequests);
            let message = format!("more than {} requests (limits.rpc_requests)", self.allowance.requests);
            return Err(Error::Limited(message));
        }
        let length = request.length();
        let request = request.check(fanout)?;
        let (broker, topic) = (request.recipient.broker.as_deref(), request.recipient.topic.as_str());
        if !self.grants.allows(broker, topic, &request.method) {
            let broker = broker.map_or_else(String::new, |broker| format!("{broker}:"));
            let message = format!("{broker}{topic}/{} is not granted (grants.rpc in the manifest)", request.method);
            if !mem::replace(&mut used.told, true) {
                tracing::warn!(reason = printable(&message, 4 * MAX_SHOWN), "a handler wants more than it is granted");
            }
            return Err(Error::Denied(message));
        }
        let most = self.capabilities.max_hops();
        if self.cause.hops >= most {
            let message = format!("{} requests of handlers led to one another already (rpc.max_hops)", self.cause.hops);
            if !mem::replace(&mut used.told, true) {
                tracing::warn!(hops = self.cause.hops, "a chain of requests is cut");
            }
            return Err(Error::Denied(message));
        }
        used.sent = used.sent.saturating_add(length);
        if used.sent > self.allowance.bytes.0 {
            return Err(self.too_much("sent"));
        }
        Ok(request)
    }

    fn receive(&self, length: usize) -> Result<(), Error> {
        let mut used = self.used();
        used.received = used.received.saturating_add(length);
        if used.received > self.allowance.bytes.0 { Err(self.too_much("received")) } else { Ok(()) }
    }

    fn too_much(&self, what: &str) -> Error {
        self.metrics.hit(Limit::RpcBytes);
        Error::Limited(format!("more than {} {what} (limits.rpc_bytes)", self.allowance.bytes))
    }

    fn broker(&self, request: &Checked) -> Result<&Broker, Error> {
        let name = request.recipient.broker.as_ref();
        let missing = || match name {
            Some(name) => format!("the service has no broker {name} (brokers.{name}.transport_url)"),
            None => "there is no broker here".to_owned(),
        };
        self.capabilities.broker(name).ok_or_else(|| Error::Unavailable(missing()))
    }

    fn time_left(&self) -> Duration {
        self.cause.deadline.saturating_duration_since(std::time::Instant::now())
    }

    /// Counts and logs what became of a request.
    fn note(&self, kind: Sending, shown: &str, error: Option<&Error>) {
        let ending = error.map_or(Sent::Done, Error::ending);
        self.metrics.sent(kind, ending);
        tracing::debug!(request = shown, kind = kind.as_str(), outcome = ending.as_str(), "a handler asks");
    }

    pub(super) fn used(&self) -> MutexGuard<'_, Used> {
        // A panic while the lock was held cannot leave more than a count half-done.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever is asked must be there: a request that no queue takes is an error, and not silence.
fn options(timeout: Duration) -> CallOptions {
    let routing = Routing::Mandatory;
    client::CallOptions {
        timeout: timeout.min(client::DEFAULT_TIMEOUT),
        retry: Retry::Forever,
        routing,
        ..CallOptions::default()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let used = self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        used.fetches.iter().for_each(AbortHandle::abort);
        let (casts, writes) = (used.held.len(), used.writes.len());
        if casts + writes > 0 {
            self.metrics.effects(Effect::Discarded, casts + writes);
            tracing::info!(casts, writes, "the handler did not succeed; its effects are dropped");
        }
    }
}
