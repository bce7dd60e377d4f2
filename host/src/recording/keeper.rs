//! Decides which requests are taped, and which of those are kept.
//!
//! Before it: [`crate::serve`] has a request, and later its outcome. After it: a thread of its own redacts and writes. No request
//! waits for that: what is too much is dropped, and counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    config::Config,
    file,
    form::{Asked, Bounds, Component, Cost, FORMAT, Given, Recording},
    redact::Names,
    ring::{self, Ring},
};
use crate::{
    capability::Values,
    fresh_id::fresh_id,
    metrics::{Metrics, RecordingFate},
    sandbox::{Tape, Taped},
};

/// Recordings that wait for the thread that writes them.
const QUEUE: usize = 256;

/// Bytes of those, before they are compressed.
const QUEUED_BYTES: usize = 64 << 20;

/// How long the end of the service waits for what is queued to be written.
const FINISHING: Duration = Duration::from_secs(2);

/// Digits of an id beside the time.
const ID_DIGITS: usize = 12;

/// What tells the requests that are recorded from those of a canary's share, and of a forwarded one.
const SALT: &str = "recording";

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory.
    #[error(transparent)]
    Ring(#[from] ring::Error),
    /// No thread.
    #[error("no thread writes recordings: {0}")]
    Thread(std::io::Error),
}

/// Who decides. Clones are the same; with the last one, what is queued is written.
#[derive(Clone, Debug)]
pub struct Keeper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    metrics: Metrics,
    rate: Mutex<(Instant, u32)>,
    queued: Arc<AtomicUsize>,
    /// Whether the last one could not be written.
    is_failing: Arc<AtomicBool>,
    /// `None` once it ends.
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct Writer {
    orders: SyncSender<Order>,
    done: Receiver<()>,
}

/// A request whose recording has begun, perhaps.
#[derive(Debug, Default)]
pub struct Begun {
    /// What its imports are taped on.
    pub tape: Tape,
    /// Whether it is kept however it ends.
    is_chosen: bool,
    /// Bytes that are taped.
    most: usize,
}

/// What is known of a request before it runs.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who answers.
    pub handler: Component,
    /// What is asked.
    pub request: Asked,
    /// The delivery policy.
    pub policy: &'static str,
    /// What it may use.
    pub limits: Bounds,
    /// What the manifest gives the handler.
    pub config: Values,
}

/// One to be written.
#[derive(Debug)]
struct Order {
    recording: Recording,
    config: Values,
    size: usize,
}

impl Begun {
    /// The same for one more who compares what is taped, up to so many bytes: the request runs in a fresh instance, and is kept for
    /// the same reasons as without.
    #[must_use]
    pub fn shared(self, most: usize) -> Self {
        Self { tape: Tape::recording(self.most.max(most), true), ..self }
    }
}

impl Keeper {
    /// Opens the directory and starts the thread.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(config: &Config, metrics: &Metrics) -> Result<Self, StartError> {
        let ring = Ring::open(&config.directory, u64::try_from(config.bytes.0).unwrap_or(u64::MAX))?;
        let (orders, waiting) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let queued = Arc::new(AtomicUsize::new(0));
        let (names, counted, left) = (Names::new(&config.redact), metrics.clone(), Arc::clone(&queued));
        let is_failing = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&is_failing);
        let work = move || {
            write(ring, &names, &waiting, &counted, (&left, &failing));
            finished.send(()).ok();
        };
        thread::Builder::new().name("recordings".to_owned()).spawn(work).map_err(StartError::Thread)?;
        tracing::info!(directory = %config.directory.display(), "requests are recorded");
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            metrics: metrics.clone(),
            rate: Mutex::new((Instant::now(), 0)),
            queued,
            is_failing,
            writer: Mutex::new(Some(Writer { orders, done })),
        })))
    }

    /// Decides whether a request is taped. `id` is what its share goes by.
    #[must_use]
    pub fn begin(&self, method: &str, id: impl FnOnce() -> Option<String>) -> Begun {
        let config = &self.0.config;
        let is_chosen = config.names(method) || config.share.has_id(id, SALT);
        let is_taped = is_chosen || config.outcomes.are_any();
        let tape = if is_taped { Tape::recording(config.request.0, is_chosen) } else { Tape::default() };
        Begun { tape, is_chosen, most: if is_taped { config.request.0 } else { 0 } }
    }

    /// Keeps a request that has ended, where it is to be kept; gives the recording's id. It is written a moment later.
    #[must_use]
    pub fn end(
        &self,
        begun: Begun,
        draft: Option<Draft>,
        outcome: &str,
        is_failure: bool,
        took: Duration,
    ) -> Option<String> {
        let Inner { config, metrics, queued, is_failing, .. } = &*self.0;
        let is_slow = config.outcomes.slow.is_some_and(|than| took > than);
        let is_kept = begun.is_chosen || is_slow || (is_failure && config.outcomes.failures);
        if !is_kept {
            return None;
        }
        let (Some(draft), Some(taped)) = (draft, begun.tape.taken()) else {
            metrics.recording(RecordingFate::TooLarge);
            return None;
        };
        // What never ran has nothing to be run again.
        taped.ended.as_ref()?;
        // Asked first: where everything fails, what is over the rate is not copied either.
        if !self.has_rate() {
            metrics.recording(RecordingFate::OverRate);
            return None;
        }
        let order = order(draft, taped, outcome, took)?;
        if order.size > config.request.0 {
            metrics.recording(RecordingFate::TooLarge);
            return None;
        }
        let (id, size) = (order.recording.id.clone(), order.size);
        if queued.fetch_add(size, Ordering::Relaxed) + size > QUEUED_BYTES || !self.sent(order) {
            queued.fetch_sub(size, Ordering::Relaxed);
            metrics.recording(RecordingFate::Dropped);
            return None;
        }
        // While none can be written, no log and no dead letter names one that is not there.
        (!is_failing.load(Ordering::Relaxed)).then_some(id)
    }

    fn sent(&self, order: Order) -> bool {
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().is_some_and(|writer| writer.orders.try_send(order).is_ok())
    }

    /// Whether another one may be kept in this second.
    fn has_rate(&self) -> bool {
        let mut rate = self.0.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if rate.0.elapsed() >= Duration::from_secs(1) {
            *rate = (Instant::now(), 0);
        }
        rate.1 = rate.1.saturating_add(1);
        rate.1 <= self.0.config.per_second
    }
}

/// Waits for what is queued, but not for long.
impl Drop for Inner {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { orders, done }) = writer {
            drop(orders);
            if done.recv_timeout(FINISHING).is_err() {
                tracing::warn!("recordings were not written within {FINISHING:?}, and are lost");
            }
        }
    }
}

/// All that is known of a request that has ended, with its bytes; nothing is redacted. `None` where its handler has not run.
#[must_use]
pub fn whole(draft: Draft, taped: Taped, outcome: &str, took: Duration) -> Option<(Recording, usize)> {
    order(draft, taped, outcome, took).map(|order| (order.recording, order.size))
}

/// What is to be written of a request.
fn order(draft: Draft, taped: Taped, outcome: &str, took: Duration) -> Option<Order> {
    let Draft { handler, request, policy, limits, config } = draft;
    let Taped { calls, served, memory, ended } = taped;
    let ended = ended?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let at_ms = millis(now.saturating_sub(took));
    let digits: String = fresh_id().chars().take(ID_DIGITS).collect();
    let size = request.arguments.get().len()
        + request.context.get().len()
        + ended.comparable().len()
        + calls.iter().map(super::Call::size).sum::<usize>();
    let given =
        config.given().map(|(name, value, secret)| Given { name: name.to_owned(), value: value.to_owned(), secret });
    let recording = Recording {
        format: FORMAT,
        host: env!("CARGO_PKG_VERSION").to_owned(),
        id: format!("{at_ms:013}-{digits}"),
        at_ms,
        handler,
        served,
        request,
        policy: policy.to_owned(),
        limits,
        config: given.collect(),
        calls,
        ended,
        outcome: outcome.to_owned(),
        cost: Cost {
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            memory: u64::try_from(memory).unwrap_or(u64::MAX),
        },
        redacted: 0,
    };
    Some(Order { recording, config, size })
}

/// Redacts and writes until nobody orders any more. Says how much is queued, and whether the last could not be written.
fn write(
    mut ring: Ring,
    names: &Names,
    orders: &Receiver<Order>,
    metrics: &Metrics,
    (queued, is_failing): (&AtomicUsize, &AtomicBool),
) {
    while let Ok(Order { mut recording, config, size }) = orders.recv() {
        // What cannot be redacted is not written.
        if names.redact(&mut recording, &config).is_err() {
            queued.fetch_sub(size, Ordering::Relaxed);
            metrics.recording(RecordingFate::TooLarge);
            continue;
        }
        let written = ring.put(&recording.id, &file::encode(&recording));
        queued.fetch_sub(size, Ordering::Relaxed);
        let was_failing = is_failing.swap(written.is_err(), Ordering::Relaxed);
        match written {
            Ok(()) => metrics.recording(RecordingFate::Kept),
            Err(error) => {
                if !was_failing {
                    let recording = recording.id;
                    tracing::error!(%error, recording, "a recording cannot be written; more of the same is only counted");
                }
                metrics.recording(RecordingFate::Failed);
            }
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
