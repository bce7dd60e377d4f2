//! One request on its way, and its response as far as it has come.
//!
//! Before it: [`super::super::Session::fetch`] starts the [`Work`], a task. After it: the guest looks at the [`Fetch`],
//! whenever it likes. Of a body, no more is read than [`WINDOW`] ahead of the guest. Dropped, the task ends and its
//! connection is closed.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::traced,
    Error, Fields, Head, Request, Trust,
    connect::{Reachable, connect},
    parse::Body,
    talk::{Meter, Talk},
};
use crate::{
    metrics::{Sending, Sent},
    trace::Span,
};

/// Bytes of a body that wait for the guest.
const WINDOW: usize = 64 << 10;

/// A request that was sent, or will be. Dropped, it is given up.
#[derive(Debug)]
pub struct Fetch {
    exchange: Arc<Exchange>,
    task: AbortOnDropHandle<()>,
}

/// What has come, for the guest and for the task.
#[derive(Debug)]
pub struct Exchange {
    progress: Mutex<Progress>,
    /// The guest has read: there is room.
    room: Notify,
    /// Something has come.
    woken: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Progress {
    head: Option<Result<Head, Error>>,
    is_answered: bool,
    body: VecDeque<u8>,
    is_discarded: bool,
    end: Option<Result<Option<Fields>, Error>>,
}

/// How long each step may take; without, as long as the handler.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Option<Duration>,
    /// From there to the head of the response.
    pub first_byte: Option<Duration>,
    /// Between two pieces of its body.
    pub between_bytes: Option<Duration>,
}

/// What the task needs.
pub(in crate::capability) struct Work {
    pub(in crate::capability) request: Request,
    /// What is recorded of it.
    pub(in crate::capability) span: Span,
    pub(in crate::capability) is_private: bool,
    /// The body, when the guest has finished it.
    pub(in crate::capability) body: oneshot::Receiver<Vec<u8>>,
    pub(in crate::capability) timeouts: Timeouts,
    pub(in crate::capability) deadline: Instant,
    /// Places for requests of the session that are under way.
    pub(in crate::capability) places: Arc<Semaphore>,
    pub(in crate::capability) meter: Arc<Meter>,
    pub(in crate::capability) trust: Arc<Trust>,
}

impl Work {
    /// Starts the task. `woken` is told whenever something has come.
    pub(in crate::capability) fn start(self, woken: Arc<Notify>) -> Fetch {
        let exchange = Arc::new(Exchange { progress: Mutex::default(), room: Notify::new(), woken });
        let task = tokio::spawn(self.run(Arc::clone(&exchange)));
        Fetch { exchange, task: AbortOnDropHandle::new(task) }
    }

    async fn run(self, exchange: Arc<Exchange>) {
        // Where the task is ended from outside, the guest is told nothing else.
        let exchange = GivenUp(exchange);
        let (deadline, started) = (self.deadline, Instant::now());
        let (metrics, shown) = (self.meter.metrics.clone(), self.request.origin.to_string());
        let (method, span) = (self.request.method.clone(), self.span.clone());
        let answered = |status: u16, error: Option<&Error>| {
            let ending = error.map_or(Sent::Done, Error::ending);
            metrics.sent(Sending::Http, ending);
            traced::answered(&span, status, error);
            metrics.fetched_in(started.elapsed());
            let reason = error.map(ToString::to_string);
            tracing::debug!(to = shown, method, status, reason, outcome = ending.as_str(), "a handler fetches");
        };
        let end = match timeout_at(deadline, self.fetch(&exchange.0, answered)).await {
            Ok(end) => end,
            Err(_) => Err(Error::ReadTimeout),
        };
        if let Err(error) = &end {
            let is_answered = exchange.0.progress().is_answered;
            // Its head is counted already; that its body has not come, its span says.
            if is_answered { traced::cut(&span, error) } else { answered(0, Some(error)) }
        }
        exchange.0.finish(end);
    }

    async fn fetch(
        self,
        exchange: &Exchange,
        answered: impl FnOnce(u16, Option<&Error>),
    ) -> Result<Option<Fields>, Error> {
        let Self { request, is_private, body, timeouts, places, meter, trust, .. } = self;
        let body = body.await.map_err(|_| Error::Body)?;
        let unsent = request.bytes(&body)?;
        drop(body);
        let _place = places.acquire().await.map_err(|_| Error::Terminated)?;
        let reachable = if is_private { Reachable::Private } else { Reachable::Public };
        let connecting = connect(&request.origin, reachable, &trust, meter.metrics.name());
        let stream = within(timeouts.connect, connecting, Error::ConnectTimeout).await?;
        let mut talk = Talk::new(stream, unsent, meter);

        let head = talk.head(&request.method);
        let (head, mut body) = within(timeouts.first_byte, head, Error::ResponseTimeout).await?;
        if let Body::Length(length) = body {
            talk.meter.announce(length)?;
        }
        answered(head.status, None);
        exchange.answer(Ok(head));
        loop {
            let (used, data) = body.take(&talk.received)?;
            exchange.put(data).await;
            talk.received.drain(..used);
            if let Body::Done(trailers) = body {
                return Ok(trailers);
            }
            if used == 0 && within(timeouts.between_bytes, talk.fill(), Error::ReadTimeout).await? == 0 {
                return if body.may_close() { Ok(None) } else { Err(Error::Incomplete) };
            }
        }
    }
}

async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
    late: Error,
) -> Result<T, Error> {
    match limit {
        Some(limit) => timeout(limit, work).await.unwrap_or(Err(late)),
        None => work.await,
    }
}

impl Exchange {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // A panic while the lock was held cannot leave more than a piece of a body behind.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, head: Result<Head, Error>) {
        let mut progress = self.progress();
        (progress.head, progress.is_answered) = (Some(head), true);
        drop(progress);
        self.woken.notify_one();
    }

    /// Gives a piece of the body to the guest, when there is room.
    async fn put(&self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        loop {
            {
                let mut progress = self.progress();
                if progress.is_discarded {
                    return;
                }
                if progress.body.len() < WINDOW {
                    progress.body.extend(data);
                    break;
                }
            }
            self.room.notified().await;
        }
        self.woken.notify_one();
    }

    fn finish(&self, end: Result<Option<Fields>, Error>) {
        let mut progress = self.progress();
        if progress.end.is_some() {
            return;
        }
        if let Err(error) = &end
            && !mem::replace(&mut progress.is_answered, true)
        {
            progress.head = Some(Err(error.clone()));
        }
        progress.end = Some(end);
        drop(progress);
        self.woken.notify_one();
    }

    /// Whether the head has come, or will not.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.progress().is_answered
    }

    /// Whether there is something to read, or will not be any more.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let progress = self.progress();
        !progress.body.is_empty() || progress.end.is_some()
    }

    /// Whether all has come that comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.progress().end.is_some()
    }
}

impl Fetch {
    /// One that goes nowhere and gets nothing: its guest is told what was recorded.
    #[must_use]
    pub fn nowhere() -> Self {
        let exchange = Arc::new(Exchange { progress: Mutex::default(), room: Notify::new(), woken: Arc::default() });
        Self { exchange, task: AbortOnDropHandle::new(tokio::spawn(async {})) }
    }

    /// What can be waited for.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// What ends it from outside.
    pub(in crate::capability) fn abort_handle(&self) -> tokio::task::AbortHandle {
        self.task.abort_handle()
    }

    /// The head, when it has come; it is there once.
    #[must_use]
    pub fn head(&self) -> Option<Result<Head, Error>> {
        self.exchange.progress().head.take()
    }

    /// Some of the body, as far as it is there; `Err(None)` is its end.
    ///
    /// # Errors
    ///
    /// Why there is no more of it.
    pub fn read(&self, most: usize) -> Result<Vec<u8>, Option<Error>> {
        let mut progress = self.exchange.progress();
        let length = most.min(progress.body.len());
        if length == 0 && progress.body.is_empty() {
            return match &progress.end {
                None => Ok(Vec::new()),
                Some(Ok(_)) => Err(None),
                Some(Err(error)) => Err(Some(error.clone())),
            };
        }
        let data = progress.body.drain(..length).collect();
        drop(progress);
        self.exchange.room.notify_one();
        Ok(data)
    }

    /// The rest of the body is not wanted; what comes behind it is.
    pub fn discard(&self) {
        let mut progress = self.exchange.progress();
        progress.body = VecDeque::new();
        progress.is_discarded = true;
        drop(progress);
        self.exchange.room.notify_one();
    }

    /// The request for which it was made has ended: nothing is kept of what has come.
    pub fn forget(&self) {
        let mut progress = self.exchange.progress();
        progress.body = VecDeque::new();
        progress.is_discarded = true;
        if let Some(head) = &mut progress.head {
            *head = Err(Error::Terminated);
        }
        if let Some(end) = &mut progress.end {
            *end = Err(Error::Terminated);
        }
        drop(progress);
        self.exchange.room.notify_one();
    }

    /// The trailers, when all has come.
    #[must_use]
    pub fn trailers(&self) -> Option<Result<Option<Fields>, Error>> {
        self.exchange.progress().end.clone()
    }
}

/// Says so where nothing else was said.
struct GivenUp(Arc<Exchange>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.finish(Err(Error::Terminated));
    }
}

impl Error {
    /// What became of the request, in a word.
    pub(in crate::capability) fn ending(&self) -> Sent {
        match self {
            Self::Denied | Self::Prohibited => Sent::Denied,
            Self::Requests(_) | Self::Sent(_) | Self::Received { .. } => Sent::Limited,
            Self::DnsTimeout | Self::ConnectTimeout | Self::ResponseTimeout | Self::ReadTimeout => Sent::TimedOut,
            Self::Method | Self::Uri | Self::LongUri | Self::Headers | Self::Body | Self::Trailers => Sent::Invalid,
            _ => Sent::Unavailable,
        }
    }
}
