//! The reply queue, and the calls that wait for what arrives there.
//!
//! Before it: [`super::Client`] makes one when it calls for the first time. After it: [`crate::transport`] delivers,
//! [`Reply`] decodes. All calls share the queue; the message id says whose a reply is. A call is known here from before
//! its request is sent until it has its answer or is dropped, and leaves nothing behind.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    envelope::{self, Answer, Reply, Text},
    fresh_id::fresh_id,
    printable::printable,
    transport::{self, Deliveries, Delivery, Disposition, Message, Retry, Settlement, Transport},
};

/// From how many bytes on a reply is decoded beside the others.
const LARGE: usize = 64 << 10;

/// How many are decoded at once. Each may be large, and decompressed larger.
const MAX_BESIDE: usize = 8;

/// Bytes of a message id that are logged. Ours have 32.
const MAX_ID: usize = 64;

/// A reply queue that is consumed. Dropped, its connection is closed, and the queue stays until it expires.
#[derive(Debug)]
pub(super) struct Replies {
    queue: String,
    calls: Arc<Calls>,
    closing: CancellationToken,
    reader: AbortOnDropHandle<()>,
}

/// The calls that wait, and what is known of others.
#[derive(Debug, Default)]
struct Calls {
    waiting: Mutex<HashMap<String, Waiting>>,
    /// Whether somebody may still send to the queue.
    is_expecting: AtomicBool,
}

/// One call that waits.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Said>,
    /// What came without saying that it was all: old servers say that in a second message.
    value: Option<Text>,
    /// When a message for it came last.
    heard: Instant,
}

/// What a server said in the end.
pub(super) type Said = Result<Answer, envelope::Error>;

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    calls: Arc<Calls>,
    message_id: String,
    answer: oneshot::Receiver<Said>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The call's time is over.
    TimedOut,
    /// Its server was silent for too long.
    Silent,
    /// Nobody reads the queue any more; only after a panic.
    Lost,
}

impl Replies {
    /// Declares a reply queue of its own name and starts to consume it.
    ///
    /// # Errors
    ///
    /// As [`Transport::listen_for_replies_with`].
    pub(super) async fn listen(transport: &Transport, retry: Retry) -> Result<Self, transport::Error> {
        let queue = transport.reply_queue()?;
        let deliveries = transport.listen_for_replies_with(&queue, retry).await?;
        let (calls, closing) = (Arc::new(Calls::default()), CancellationToken::new());
        let reader = tokio::spawn(read(deliveries, Arc::clone(&calls), closing.clone()));
        Ok(Self { queue, calls, closing, reader: AbortOnDropHandle::new(reader) })
    }

    /// Whether somebody reads the queue: always, unless that has panicked.
    pub(super) fn is_alive(&self) -> bool {
        !self.reader.is_finished()
    }

    /// The name of the queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Makes a call known; its request is to be sent next.
    pub(super) fn expect(&self) -> Call {
        let (sender, answer) = oneshot::channel();
        let call = Call { calls: Arc::clone(&self.calls), message_id: fresh_id(), answer };
        let waiting = Waiting { answer: sender, value: None, heard: Instant::now() };
        self.calls.lock().insert(call.message_id.clone(), waiting);
        call
    }

    /// How many calls wait.
    #[cfg(test)]
    pub(super) fn outstanding(&self) -> usize {
        self.calls.lock().len()
    }

    /// Stops consuming. Deletes the queue where nobody can send to it any more; a server whose answer comes too late
    /// would try for a minute to find it.
    pub(super) async fn close(self) {
        self.closing.cancel();
        // It ends by itself now; where it panicked, it has.
        self.reader.await.ok();
    }
}

impl Call {
    /// What the reply will be known by.
    pub(super) fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Waits for the answer until `deadline`, and for no longer than `monitor` for any message about the call.
    ///
    /// # Cancel safety
    ///
    /// Safe; each time it is called, the silence begins anew.
    pub(super) async fn answer(&mut self, deadline: Instant, monitor: Option<Duration>) -> Result<Said, NoAnswer> {
        let mut heard = Instant::now();
        loop {
            let silent = monitor.and_then(|monitor| heard.checked_add(monitor)).filter(|silent| *silent < deadline);
            match timeout_at(silent.unwrap_or(deadline), &mut self.answer).await {
                Ok(Ok(said)) => return Ok(said),
                Ok(Err(_)) => return Err(NoAnswer::Lost),
                Err(_) if silent.is_none() => return Err(NoAnswer::TimedOut),
                Err(_) => match self.calls.lock().get(&self.message_id) {
                    Some(waiting) if waiting.heard > heard => heard = waiting.heard,
                    // The answer is there by now, or nothing is.
                    Some(_) => return Err(NoAnswer::Silent),
                    None => {}
                },
            }
        }
    }

    /// Gives up a call whose request has reached nobody.
    pub(super) fn withdraw(self) {
        self.calls.lock().remove(&self.message_id);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.calls.lock().remove(&self.message_id).is_some() {
            self.calls.is_expecting.store(true, Ordering::Relaxed);
        }
    }
}

fn decode(message: &Message) -> Result<Reply, String> {
    let reply = Reply::decode(&message.body, message.content_type.as_deref(), message.compression.as_deref());
    reply.map_err(|error| error.to_string())
}

async fn settle(settlement: Settlement, disposition: Disposition) {
    // Lost, it comes again, and nobody waits for it then.
    settlement.settle(disposition).await.ok();
}

impl Calls {
    /// Notes what has arrived; says what becomes of it.
    fn note(&self, reply: Result<Reply, String>) -> Disposition {
        match reply {
            Ok(reply) => {
                self.take(reply);
                Disposition::Ack
            }
            Err(error) => {
                tracing::warn!(error, "reply cannot be decoded, dropped");
                Disposition::Reject
            }
        }
    }

    /// Gives a reply to its call.
    fn take(&self, reply: Reply) {
        let Reply { message_id, answer, ending } = reply;
        let mut waiting = self.lock();
        let Some(call) = waiting.get_mut(&message_id) else {
            drop(waiting);
            tracing::info!(msg_id = printable(&message_id, MAX_ID), "nobody waits for this reply, dropped");
            return;
        };
        call.heard = Instant::now();
        let said = match answer {
            Ok(None) => return,
            Ok(Some(Answer::Result(value))) if !ending => {
                call.value = Some(value);
                return;
            }
            // An ending without a value ends with the value before it.
            Ok(Some(Answer::Result(value))) if value == Text::null() => {
                Ok(Answer::Result(call.value.take().unwrap_or(value)))
            }
            Ok(Some(answer)) => Ok(answer),
            Err(error) => Err(error),
        };
        if !ending {
            self.is_expecting.store(true, Ordering::Relaxed);
        }
        if let Some(call) = waiting.remove(&message_id) {
            // The call may just have been dropped.
            call.answer.send(said).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        // A panic while the lock was held cannot leave the map half-changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what arrives, until told to end. What takes long to decode is decoded beside, so that it holds up no other call.
async fn read(mut deliveries: Deliveries, calls: Arc<Calls>, closing: CancellationToken) {
    let mut beside = JoinSet::new();
    loop {
        let delivery = tokio::select! {
            () = closing.cancelled() => break,
            delivery = deliveries.next() => delivery,
        };
        // Those that have ended.
        while beside.try_join_next().is_some() {}
        let Some(delivery) = delivery else {
            // Nobody can be answered any more.
            calls.lock().clear();
            return;
        };
        if delivery.message.compression.is_some() || delivery.message.body.len() > LARGE {
            if beside.len() >= MAX_BESIDE {
                beside.join_next().await;
            }
            let calls = Arc::clone(&calls);
            beside.spawn(async move {
                let Delivery { message, settlement } = delivery;
                let decoded = tokio::task::spawn_blocking(move || decode(&message)).await;
                // A decompressor that panics has met a body that is no good.
                let reply = decoded.unwrap_or_else(|error| Err(error.to_string()));
                settle(settlement, calls.note(reply)).await;
            });
            continue;
        }
        let reply = decode(&delivery.message);
        if reply.as_ref().is_ok_and(Reply::is_bare_ending) {
            // It may be the end of a value that is being decoded.
            while beside.join_next().await.is_some() {}
        }
        settle(delivery.settlement, calls.note(reply)).await;
    }
    while beside.join_next().await.is_some() {}
    if !calls.is_expecting.load(Ordering::Relaxed) && calls.lock().is_empty() {
        deliveries.close().await;
    }
}
