//! One delivery, from its bytes to its settlement.
//!
//! Before it: [`super::serve`] has pulled it with a permit. After it: the next one. [`crate::reply`] decides what
//! becomes of it; this carries it out, in this order: answer, dead letter, settlement. So whatever ends in between, the
//! broker delivers the message again and nothing is lost.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::{Instrument, Level};

use super::{
    Corridor,
    answer::{self, Answered, answer},
    dead_letter::{self, Death, Particulars, bury},
    duplicates::Claim,
    heartbeat,
};
use crate::{
    catalog::Policy,
    compression::Error::Corrupt,
    dispatch::{Outcome, Resolved, resolve},
    envelope::{self, ReplyTo, Request},
    printable::{printable, printed},
    reply::{self, Buried, Fate, Kind, Verdict, verdict},
    transport::{Delivery, Disposition, Header, Message, Published, Settlement, copy},
};

/// Bytes of a name in the log.
const MAX_FIELD: usize = 64;

/// Bytes of a failure in the log.
const MAX_FAILURE: usize = 1024;

/// What is kept of a delivery while its request runs.
#[derive(Debug)]
struct Work {
    message: Message,
    particulars: Particulars,
    /// Attempts so far, with this one if it is one.
    attempts: u32,
    /// `None` where it was acknowledged when its handler started.
    settlement: Option<Settlement>,
}

impl Corridor {
    /// Takes one delivery from its bytes to its settlement.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the delivery is not settled and the broker delivers it again.
    pub(super) async fn deliver(self: Arc<Self>, delivery: Delivery, permit: OwnedSemaphorePermit) {
        let Delivery { message, settlement } = delivery;
        let _in_flight = self.metrics.delivered(message.redelivered);
        let (message, decoded) = decode(message).await;
        let mut work = Work {
            attempts: message.attempts.earlier.saturating_add(1),
            message,
            particulars: Particulars::default(),
            settlement: Some(settlement),
        };
        match decoded {
            Ok(request) => {
                let span = span(&request);
                if self.dead_letters.is_some() {
                    work.particulars = Particulars::of(&request);
                }
                Box::pin(self.run(request, work, permit)).instrument(span).await;
            }
            Err(error) => {
                self.metrics.rejected();
                let error = error.to_string();
                tracing::warn!(error, bytes = work.message.body.len(), "message cannot be decoded, rejected");
                self.end(work, reply::UNDECODABLE_FATE, reply::UNDECODABLE, || error).await;
            }
        }
    }

    async fn run(self: Arc<Self>, request: Request, mut work: Work, permit: OwnedSemaphorePermit) {
        let claim = match identity(&request, &work.message) {
            Some(id) => match self.duplicates.claim(id).await {
                Claim::First(claim) => Some(claim),
                Claim::Done => {
                    self.metrics.duplicate();
                    tracing::info!("a request that was handled already was delivered again, dropped");
                    return settle(work.settlement, Disposition::Ack).await;
                }
            },
            None => None,
        };
        let started = Instant::now();
        let reply_to = request.reply_to.clone();
        let outcome = {
            let working = pin!(self.work(request, &mut work));
            heartbeat::during(&self.transport, reply_to.as_ref(), working).await
        };
        let Some(outcome) = outcome else {
            // Another delivery of the request takes its place. The claim is dropped, so that it may run.
            return;
        };
        let kind = if reply_to.is_some() { Kind::Call } else { Kind::Cast };
        let verdict = verdict(outcome, kind);
        log(&verdict, started.elapsed());
        let answered = match &reply_to {
            Some(reply_to) => answer(&self.transport, reply_to, &verdict.answer).await,
            None => Answered::Yes,
        };
        let corridor = Arc::clone(&self);
        let ending = async move {
            let error = || verdict.answer.failure().map(ToString::to_string).unwrap_or_default();
            corridor.end(work, verdict.fate, verdict.name.as_str(), error).await;
            if let Some(claim) = claim {
                claim.done();
            }
            drop(permit);
        };
        match answered {
            // Refused, it would be refused again: there is nothing to run again for.
            Answered::Yes | Answered::Refused => ending.await,
            Answered::QueueMissing(rest) => self.answer_late(rest, ending),
        }
    }

    /// Finds who answers and has the request run; `None` where another delivery of it takes the place of this one.
    async fn work(&self, request: Request, work: &mut Work) -> Option<Outcome> {
        let resolved = match resolve(&self.catalog, self.dispatch, request) {
            Ok(resolved) => resolved,
            Err(refusal) => {
                self.metrics.nobody();
                return Some(Outcome::Refused(refusal));
            }
        };
        let Some(generation) = resolved.handler() else { return self.attempt(resolved, work).await };
        if self.dead_letters.is_some() {
            let digest = generation.program.digest().short().to_owned();
            work.particulars.handler = Some((generation.name.clone(), digest));
        }
        let metrics = generation.program.metrics().clone();
        let running = metrics.start();
        let outcome = self.attempt(resolved, work).await?;
        running.end(outcome.ending(), outcome.limit());
        Some(outcome)
    }

    /// Runs the request as its policy says.
    async fn attempt(&self, resolved: Resolved, work: &mut Work) -> Option<Outcome> {
        let policy = resolved.policy();
        // What is acknowledged before it starts is never delivered again for having been started.
        if policy == Policy::AtLeastOnce && self.max_attempts > 0 {
            if work.message.attempts.earlier >= self.max_attempts {
                work.attempts = work.message.attempts.earlier;
                return Some(Outcome::Exhausted { attempts: work.attempts });
            }
            if work.message.attempts.forgettable && self.is_replaced(work).await {
                return None;
            }
        }
        if self.dead_letters.is_none() {
            // Decoded, it is not needed any more, and may be large.
            work.message.body = Vec::new();
        }
        let admitted = match resolved.admit(&self.capabilities).await {
            Ok(admitted) => admitted,
            Err(refusal) => return Some(Outcome::Refused(refusal)),
        };
        // A place may become free because the service ends: what has not started yet is given back, not lost.
        if self.abandon.is_cancelled() {
            return None;
        }
        if policy == Policy::AtMostOnce
            && let Some(settlement) = work.settlement.take()
            && let Err(error) = settlement.acknowledge_surely().await
        {
            tracing::warn!(%error, "not acknowledged and therefore not started");
            return None;
        }
        // On the heap, as in `deliver`: what holds it is moved several times before it is a task, with all of its room.
        Some(Box::pin(admitted.run()).await)
    }

    /// Replaces a message by a copy that counts its attempts, at the end of the same queue. Whether that was possible.
    async fn is_replaced(&self, work: &mut Work) -> bool {
        let attempts = work.message.attempts.earlier;
        match self.transport.publish_copy(&copy::again(&work.message)).await {
            Ok(Published::Confirmed) => {
                tracing::info!(attempts, "delivered again; put back into its queue with its attempts counted");
                settle(work.settlement.take(), Disposition::Ack).await;
                true
            }
            // The queue has gone, and will not deliver it once more.
            Ok(Published::Unroutable) => false,
            Err(error) => {
                tracing::warn!(%error, attempts, "the attempts of a request cannot be counted");
                false
            }
        }
    }

    /// Sends the dead letter, if it is one, and settles the delivery.
    async fn end(&self, work: Work, fate: Fate, outcome: &str, error: impl FnOnce() -> String) {
        let buried = match &self.dead_letters {
            Some(to) if fate.is_dead() => {
                let death = Death { outcome, error: error(), attempts: work.attempts };
                let buried = bury(&self.transport, to, &work.message, &work.particulars, death).await;
                match buried {
                    Buried::Taken => self.metrics.dead_letter(),
                    Buried::Refused => self.metrics.dead_letter_refused(),
                }
                Some(buried)
            }
            Some(_) | None => None,
        };
        settle(work.settlement, fate.disposition(buried)).await;
    }

    /// Goes on trying to answer a caller whose queue is missing (it may be reconnecting), and then settles: a host that
    /// ends meanwhile leaves the request, and so its reply, to another. Where too many wait like this, it settles first,
    /// so that callers who have gone do not hold up the others.
    fn answer_late(self: &Arc<Self>, rest: answer::Unanswered, settling: impl Future<Output = ()> + Send + 'static) {
        let corridor = Arc::clone(self);
        let wait = async move {
            let Ok(_place) = corridor.late.try_acquire() else {
                tracing::error!(queue = rest.queue(), "too many replies wait for missing queues, this one is dropped");
                return settling.await;
            };
            if let Ok(_share) = corridor.unsettled.try_acquire() {
                rest.send(&corridor.transport).await;
                settling.await;
            } else {
                settling.await;
                rest.send(&corridor.transport).await;
            }
        };
        self.tasks.spawn(self.abandon.clone().run_until_cancelled_owned(wait.in_current_span()));
    }
}

async fn settle(settlement: Option<Settlement>, disposition: Disposition) {
    if let Some(settlement) = settlement
        && let Err(error) = settlement.settle(disposition).await
    {
        tracing::warn!(%error, "not settled");
    }
}

/// Decodes a message; beside the runtime where it is compressed, for to undo that may take a second.
async fn decode(message: Message) -> (Message, Result<Request, envelope::Error>) {
    let Some(header) = message.compression.clone() else {
        let decoded = Request::decode(&message.body, message.content_type.as_deref(), None);
        return (message, decoded);
    };
    let shared = Arc::new(message);
    let message = Arc::clone(&shared);
    let decode =
        move || Request::decode(&message.body, message.content_type.as_deref(), message.compression.as_deref());
    let decoded = tokio::task::spawn_blocking(decode).await;
    // A decompressor that panics has met a body that is no good.
    let decoded = decoded.unwrap_or_else(|error| Err(envelope::Error::Compression(header, Corrupt(error.to_string()))));
    (Arc::unwrap_or_clone(shared), decoded)
}

/// What makes two deliveries the same request: the sender's mark. A dead letter that somebody has sent again is another
/// request than the one that died.
fn identity(request: &Request, message: &Message) -> Option<Arc<str>> {
    let id = request.unique_id.as_ref()?;
    Some(match message.headers.get(dead_letter::TIME) {
        Some(Header::Text(time)) => format!("{id} {time}").into(),
        Some(Header::Number(_)) | None => id.as_str().into(),
    })
}

/// The span of a request: what every line about it carries. Nothing of the context but its request id.
fn span(request: &Request) -> tracing::Span {
    let short = |text| printed(text, MAX_FIELD);
    let method = request.method.to_string();
    let request_id = request.context.get_str("request_id");
    // At the level of errors, so that no filter takes it from a line that is logged.
    tracing::error_span!(
        "request",
        method = &*short(&method),
        version = request.version.text().map(short).as_deref(),
        namespace = request.namespace.text().map(short).as_deref(),
        msg_id = request.reply_to.as_ref().map(|ReplyTo { message_id, .. }| short(message_id)).as_deref(),
        request_id = request_id.as_deref().map(short).as_deref(),
        handler = tracing::field::Empty,
        digest = tracing::field::Empty,
        generation = tracing::field::Empty,
    )
}

fn log(verdict: &Verdict, took: Duration) {
    let outcome = verdict.name.as_str();
    let failure = verdict.answer.failure().map(|failure| printable(&failure.to_string(), MAX_FAILURE));
    let failure = failure.as_ref().map(tracing::field::display);
    match verdict.level {
        Level::ERROR => tracing::error!(outcome, ?took, failure, "handled"),
        Level::WARN => tracing::warn!(outcome, ?took, failure, "handled"),
        Level::INFO => tracing::info!(outcome, ?took, failure, "handled"),
        _ => tracing::debug!(outcome, ?took, failure, "handled"),
    }
}
