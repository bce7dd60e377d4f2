//! One delivery, from its bytes to its settlement.
//!
//! Before it: [`super::serve`] has pulled it with a permit. After it: the next one. What it holds on the way is in
//! [`super::delivery`]. [`crate::reply`] decides what becomes of it; this carries it out, in this order: answer, dead
//! letter, settlement. So whatever ends in between, the broker delivers the message again and nothing is lost.

use std::{borrow::Cow, pin::pin, sync::Arc};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::{
    COUNT_FOR, Corridor, HOLD_FOR,
    answer::{Answered, answer},
    dead_letter::{self, Particulars},
    delivery::{Claimed, Ended, Pulled},
    end::Notes,
    guard::guard,
    heartbeat,
    late::{Delivered, Trouble},
    said::{MAX_FAILURE, MAX_FIELD, arrived, judged, log, span},
    traced::{self, OUTCOME},
};
use crate::{
    catalog::Policy,
    compression::Error::Corrupt,
    dispatch::{Outcome, Refusal, Resolved, handler, resolve},
    envelope::{self, ReplyTo, Request},
    fair::Seat,
    journal::{Entry, report::State},
    metrics::ReplyFate,
    printable::printable,
    reply::{self, Fate, Kind as Asked, Verdict},
    trace::{Kind, Span, Value},
    transport::{Destination, Disposition, FORWARDS, Header, Message, Published, copy},
};

/// What a claimed request comes to.
#[derive(Debug)]
pub(super) enum Worked {
    Outcome(Outcome),
    /// It needs no answer from here.
    Settled(Disposition),
    /// A copy of its message takes its place.
    Replaced,
    /// It has not begun and is to begin elsewhere.
    GivenBack,
}

impl Corridor {
    /// Takes one delivery from its bytes to its settlement.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the message goes back to the broker.
    pub(super) async fn deliver(self: Arc<Self>, mut pulled: Pulled) {
        let (message, decoded) = decode(pulled.message).await;
        pulled.message = message;
        let mut notes = Notes {
            attempts: pulled.message.attempts.earlier.saturating_add(1),
            particulars: Particulars::default(),
            span: Span::default(),
            shadow: None,
        };
        let request = match decoded.map_err(|error| error.to_string()).and_then(|request| self.check(request)) {
            Ok(request) => request,
            Err(error) => {
                self.metrics.rejected();
                tracing::warn!(error, bytes = pulled.message.body.len(), "message cannot be decoded, rejected");
                let end = self.end(pulled.end(), reply::UNDECODABLE_FATE, &notes, reply::UNDECODABLE, error);
                return drop(end.await);
            }
        };
        notes.span = self.receives(&request, &pulled.message);
        let request_id = request.context.get_str("request_id");
        let trace_id = notes.span.trace_id();
        let span = span(&request, request_id.as_deref(), trace_id.as_deref());
        let entry = Arc::new(self.journal.begin(&arrived(&request, request_id.as_deref(), trace_id.as_deref())));
        if self.dead_letters.is_some() {
            notes.particulars = Particulars::of(&request);
        }
        Box::pin(self.run(request, pulled, entry, notes)).instrument(span).await;
    }

    /// Refuses what must not be answered: the answer would come back as the next request, and so on for ever.
    fn check(&self, request: Request) -> Result<Request, String> {
        match &request.reply_to {
            Some(to) if self.queues.contains(&to.queue) => {
                Err(format!("its reply queue, {}, is one that this service serves", printable(&to.queue, MAX_FIELD)))
            }
            _ => Ok(request),
        }
    }

    async fn run(&self, request: Request, pulled: Pulled, entry: Arc<Entry>, mut notes: Notes) {
        let id = identity(&request, &pulled.message);
        let mut claimed = match pulled.claim(id, Arc::clone(&entry), &self.duplicates).await {
            Ok(claimed) => claimed,
            Err(duplicate) => {
                self.metrics.duplicate();
                notes.span.set(OUTCOME, Value::from("duplicate"));
                tracing::info!("a request that was handled already was delivered again, dropped");
                return drop(duplicate.settle(Disposition::Ack).await);
            }
        };
        let started = Instant::now();
        let reply_to = request.reply_to.clone();
        let worked = {
            let working = pin!(self.work(request, &mut claimed, &mut notes));
            guard(heartbeat::during(&self.transport, reply_to.as_ref(), working)).await
        };
        let outcome = match worked {
            Ok(Worked::Outcome(outcome)) => outcome,
            Ok(Worked::Settled(disposition)) => return drop(claimed.end().settle(disposition).await),
            Ok(Worked::Replaced) => {
                notes.span.set(OUTCOME, Value::from("replaced"));
                return claimed.replaced().await;
            }
            Ok(Worked::GivenBack) => {
                notes.span.set(OUTCOME, Value::from("given_back"));
                return claimed.give_back().await;
            }
            Err(_) => {
                self.metrics.panicked();
                Outcome::Panicked
            }
        };
        let kind = if reply_to.is_some() { Asked::Call } else { Asked::Cast };
        let took = started.elapsed();
        let recording = notes.particulars.recording.as_deref();
        let verdict = judged(&entry, outcome, kind, took, recording);
        log(&verdict, took, recording);
        traced::ends(&notes.span, &verdict);
        let shadow = notes.shadow.take();
        match &reply_to {
            Some(reply_to) => self.answer(claimed.end(), reply_to, verdict, notes).await,
            None => drop(self.conclude(claimed.end(), verdict.fate, &notes, &verdict).await),
        }
        // Not before: a shadow must not be what its caller waits for.
        if let Some(shadow) = shadow {
            shadow.offer();
        }
    }

    /// Finds who answers and has the request run.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where nobody has it.
    pub(super) async fn serve(
        &self,
        request: Request,
        claimed: &mut Claimed,
        notes: &mut Notes,
    ) -> Result<Worked, Refusal> {
        #[cfg(test)]
        crate::testing::panic_where_asked(&request);
        // Found out before it waits, and again after: what is loaded meanwhile serves it.
        let seat = match handler(&self.catalog.get(), &request) {
            Some(handler) => match self.seat(handler.into(), &request, claimed).await {
                Ok(seat) => Some(Arc::new(seat)),
                Err(worked) => return Ok(worked),
            },
            None => None,
        };
        let mut resolved = resolve(&self.catalog, self.dispatch, request)?;
        let watched = resolved.watched();
        let Some(generation) = resolved.handler() else {
            return Ok(self.attempt(resolved, claimed, notes, seat).await);
        };
        let digest = generation.program.digest().short();
        claimed.entry.progress().found(&generation.name, digest, generation.number);
        if self.dead_letters.is_some() {
            notes.particulars.handler = Some((generation.name.clone(), digest.to_owned()));
        }
        traced::found(&notes.span, generation);
        let metrics = generation.program.metrics().clone();
        let running = metrics.start(resolved.method());
        let started = Instant::now();
        let worked = self.attempt(resolved, claimed, notes, seat.clone()).await;
        if let Some(seat) = seat {
            seat.release();
        }
        if let Worked::Outcome(outcome) = &worked {
            notes.span.set("nova_host.limit", outcome.limit().map(|limit| Value::from(limit.as_str())));
            running.end(outcome.ending(), outcome.limit());
            if let Some(watched) = watched {
                watched.end(outcome.ending(), outcome.exception(), started.elapsed());
            }
        }
        Ok(worked)
    }

    /// Runs the request as its policy says.
    async fn attempt(
        &self,
        mut resolved: Resolved,
        claimed: &mut Claimed,
        notes: &mut Notes,
        seat: Option<Arc<Seat>>,
    ) -> Worked {
        let policy = resolved.policy();
        let attempts = claimed.message.attempts;
        // What is acknowledged before it starts is never delivered again for having been started.
        if policy == Policy::AtLeastOnce && self.max_attempts > 0 {
            if attempts.earlier >= self.max_attempts {
                notes.attempts = attempts.earlier;
                return Worked::Outcome(Outcome::Exhausted { attempts: attempts.earlier });
            }
            if attempts.forgettable && self.is_replaced(&claimed.message).await {
                return Worked::Replaced;
            }
        }
        if self.dead_letters.is_none() && self.forwarding.is_none() {
            // Decoded, it is not needed any more, and may be large.
            claimed.message.body = Bytes::new();
        }
        let Some(standing) = claimed.standing(&self.lending, seat) else { return Worked::GivenBack };
        let taping = self.begins_recording(&mut resolved);
        let mut admitted = match resolved.admit(&self.capabilities, &standing, &notes.span, taping.tape()).await {
            Ok(admitted) => admitted,
            Err(refusal) => return Worked::Outcome(Outcome::Refused(refusal)),
        };
        // A place may become free because the service ends: what has not started yet is given back, not lost.
        if self.abandon.is_cancelled() {
            return Worked::GivenBack;
        }
        if policy == Policy::AtMostOnce
            && let Err(error) = claimed.acknowledge_first().await
        {
            tracing::warn!(%error, "not acknowledged and therefore not started");
            return Worked::GivenBack;
        }
        claimed.entry.progress().enter(State::Running);
        // On the heap, as in `deliver`: what holds it is moved several times before it is a task, with all of its room.
        let (draft, started) = (admitted.draft(), Instant::now());
        let outcome = Box::pin(admitted.run()).await;
        self.ends_recording(taping, draft, &outcome, started.elapsed(), notes);
        Worked::Outcome(outcome)
    }

    /// Puts a copy that counts its attempts at the end of the same queue. Where that is not possible, or not sure in
    /// [`COUNT_FOR`], the request runs uncounted.
    async fn is_replaced(&self, message: &Message) -> bool {
        let attempts = message.attempts.earlier;
        let copy = copy::again(message);
        let reason = match timeout(COUNT_FOR, self.transport.publish(&copy)).await {
            Ok(Ok(Published::Confirmed)) => {
                tracing::info!(attempts, "delivered again; put back into its queue with its attempts counted");
                return true;
            }
            // The queue has gone, and will not deliver it once more.
            Ok(Ok(Published::Unroutable)) => return false,
            Ok(Ok(Published::Nacked { .. })) => Trouble::Full.as_str().to_owned(),
            Ok(Ok(Published::Unconfirmed)) | Err(_) => Trouble::Silent.as_str().to_owned(),
            Ok(Err(error)) => error.to_string(),
        };
        tracing::warn!(reason, attempts, queue = message.origin.queue, "the attempts of a request cannot be counted");
        false
    }

    /// Answers the call, and ends it. A reply that its queue does not take now waits, and the delivery with it: a host that
    /// ends meanwhile leaves the request, and so its reply, to another. Where too many wait like this, it is settled
    /// first, so that callers who have gone do not hold up the others.
    async fn answer(&self, ended: Ended, reply_to: &ReplyTo, verdict: Verdict, notes: Notes) {
        let span = notes.span.child(|| "reply", Kind::Producer);
        let answering = guard(answer(&self.transport, &self.late, reply_to, &verdict.answer));
        let queue = Destination::Queue(reply_to.queue.clone());
        let bytes = verdict.answer.length().saturating_add(ended.message.body.len());
        let answering = self.unconfirmed.wait(&queue, bytes, ended.permit(), answering);
        let (letter, trouble) = match timeout(HOLD_FOR, answering).await {
            Ok(Ok(Answered::Told)) => {
                self.replied(span, ReplyFate::Confirmed);
                return drop(self.conclude(ended, verdict.fate, &notes, &verdict).await);
            }
            Ok(Ok(Answered::TooLarge)) => {
                self.replied(span, ReplyFate::TooLarge);
                return drop(self.conclude(ended, verdict.fate, &notes, &verdict).await);
            }
            Ok(Ok(Answered::Nowhere(reason))) => {
                self.replied(span, ReplyFate::Dropped);
                return self.unanswered(ended, reply_to, verdict.fate, &notes, reason).await;
            }
            Ok(Ok(Answered::Late(letter, trouble))) => (letter, trouble),
            Ok(Err(_)) => {
                self.metrics.panicked();
                let reason = "the host failed while it answered".to_owned();
                self.replied(span, ReplyFate::Dropped);
                return self.unanswered(ended, reply_to, verdict.fate, &notes, reason).await;
            }
            Err(_) => (super::answer::letter(reply_to, &verdict.answer), Trouble::Silent),
        };
        let patience = self.transport.missing_queue_patience();
        let share = if ended.is_unsettled() { self.unsettled.try_acquire().ok() } else { None };
        if share.is_some() {
            match self.wait(letter, trouble, patience).await {
                Delivered::Taken => {
                    self.replied(span, ReplyFate::Late);
                    drop(self.conclude(ended, verdict.fate, &notes, &verdict).await);
                }
                Delivered::GivenUp(reason) => {
                    self.replied(span, ReplyFate::Dropped);
                    self.unanswered(ended, reply_to, verdict.fate, &notes, reason).await;
                }
            }
            return;
        }
        let message = self.conclude(ended, verdict.fate, &notes, &verdict).await;
        // The request has ended; its reply has not.
        notes.span.end();
        match self.wait(letter, trouble, patience).await {
            Delivered::Taken => self.replied(span, ReplyFate::Late),
            Delivered::GivenUp(reason) => {
                self.replied(span, ReplyFate::Dropped);
                self.dropped(reply_to, &reason);
                // Its end is told already; what is left is to keep it for somebody to look at.
                if verdict.fate == Fate::Done && self.dead_letters.is_some() {
                    self.bury(&message, None, &notes, reply::UNANSWERED, reason).await;
                }
            }
        }
    }

    /// Ends a call that nobody can be told of.
    async fn unanswered(&self, ended: Ended, reply_to: &ReplyTo, fate: Fate, notes: &Notes, reason: String) {
        self.dropped(reply_to, &reason);
        drop(self.end(ended, fate.unanswered(), notes, reply::UNANSWERED, reason).await);
    }

    fn dropped(&self, reply_to: &ReplyTo, reason: &str) {
        let (queue, reason) = (printable(&reply_to.queue, MAX_FIELD), printable(reason, MAX_FAILURE));
        match self.quiet.say(&format!("queue {queue}: {reason}")) {
            Some(replies) => tracing::error!(queue, reason, replies, "callers cannot be answered, replies are dropped"),
            None => tracing::debug!(queue, reason, "the caller cannot be answered, the reply is dropped"),
        }
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
/// request than the one that died, and what was forwarded another than what it was made of, which may come back here.
fn identity(request: &Request, message: &Message) -> Option<Arc<str>> {
    let id = bounded(request.unique_id.as_ref()?);
    let forwarded = match message.headers.get(FORWARDS) {
        Some(Header::Number(times)) => format!(" forwarded {times}"),
        Some(Header::Text(_)) | None => String::new(),
    };
    Some(match message.headers.get(dead_letter::TIME) {
        Some(Header::Text(time)) => format!("{id}{forwarded} {time}").into(),
        Some(Header::Number(_)) | None if forwarded.is_empty() => id.into(),
        Some(Header::Number(_)) | None => format!("{id}{forwarded}").into(),
    })
}

/// A mark as it is remembered. Senders choose its length, and many are remembered: of a long one, its digest.
fn bounded(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_FIELD {
        return Cow::Borrowed(id);
    }
    Cow::Owned(Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect())
}
