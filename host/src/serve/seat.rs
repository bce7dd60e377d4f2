//! The line: requests that are taken from the broker and wait for their turn.
//!
//! Before it: [`super::work`] has claimed a request. After it: it runs with a seat. Who waits holds no permit, so that the
//! others behind it in the queue are seen too; how many wait like this is bounded, and so are their bytes.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until},
};

use super::{Corridor, delivery::Claimed, forward::expires, work::Worked};
use crate::{
    envelope::Request,
    fair::{Entry, Gate, Key, Seat, Waiting},
    lending::Loan,
    transport::{Disposition, Message},
};

/// The longest wait in line: half of what RabbitMQ waits for an acknowledgement (`consumer_timeout`). Beyond that, it would take
/// everything back that is in flight.
const MOST: Duration = Duration::from_secs(15 * 60);

/// Memory of all messages that wait in line without a permit: 64 MiB.
const MAX_KIB: usize = 64 << 10;

/// What a message takes: its bytes, and the request that was made of them.
const COPIES: usize = 2;

/// Who runs and who waits.
#[derive(Debug)]
pub(super) struct Line {
    gate: Gate,
    /// The entry of the context that tells callers apart.
    by: Option<String>,
    /// In KiB.
    room: Arc<Semaphore>,
}

/// What lets a request wait without its permit.
#[derive(Debug)]
struct Aside {
    _loan: Loan,
    _room: OwnedSemaphorePermit,
}

impl Line {
    pub(super) fn new(gate: Gate, by: Option<String>) -> Self {
        Self { gate, by, room: Arc::new(Semaphore::new(MAX_KIB)) }
    }

    fn key(&self, handler: Arc<str>, request: &Request) -> Key {
        let caller = match &self.by {
            Some(by) => self.gate.caller(request.context.get_str(by).as_deref()),
            None => self.gate.caller(request.reply_to.as_ref().map(|to| to.queue.as_str())),
        };
        Key { handler, caller }
    }

    /// Room for a message; `None` where there is none left.
    fn room(&self, message: &Message) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from((message.body.len().saturating_mul(COPIES) >> 10) + 1).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(kib).ok()
    }
}

impl Corridor {
    /// Waits until it is the request's turn to run. Its time does not run yet, as it would not in its queue.
    ///
    /// # Errors
    ///
    /// What it comes to where it never is: it has expired, its delivery is lost, or the service stops.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it waits no longer.
    pub(super) async fn seat(&self, handler: Arc<str>, request: &Request, claimed: &Claimed) -> Result<Seat, Worked> {
        let key = self.line.key(Arc::clone(&handler), request);
        let waiting = match self.line.gate.enter(key) {
            Entry::Seated(seat) => return Ok(seat),
            Entry::Waits(waiting) => match waiting.try_seat() {
                Ok(seat) => return Ok(seat),
                Err(waiting) => waiting,
            },
        };
        let in_line = self.metrics.in_line(&handler);
        let seat = self.in_line(waiting, claimed).await;
        drop(in_line);
        seat
    }

    async fn in_line(&self, waiting: Waiting, claimed: &Claimed) -> Result<Seat, Worked> {
        let permit = claimed.permit();
        let aside = permit.and_then(|permit| {
            let room = self.line.room(&claimed.message)?;
            Some(Aside { _loan: self.lending.lend_in_line(permit)?, _room: room })
        });
        let expired = || {
            tracing::info!("its time was over before it was its turn");
            Worked::Settled(Disposition::Reject)
        };
        let Some(expires) = expires(&claimed.message, claimed.since) else { return Err(expired()) };
        let seat = tokio::select! {
            biased;
            // What waits is another's to begin.
            () = self.stop.cancelled() => return Err(Worked::GivenBack),
            () = claimed.lost() => return Err(Worked::GivenBack),
            () = until(expires) => return Err(expired()),
            () = sleep(MOST) => return Err(Worked::GivenBack),
            seat = waiting.seat() => seat,
        };
        if let (Some(permit), Some(_aside)) = (permit, aside) {
            // Where others have it, the request runs without.
            permit.try_back();
        }
        Ok(seat)
    }
}

async fn until(expires: Option<Instant>) {
    match expires {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
