//! The line: requests that are taken from the broker and wait for their turn.
//!
//! Before it: [`super::work`] has claimed a request. After it: it runs with a seat. Who waits holds no permit, so that the
//! others behind it in the queue are seen too; how many wait like this is bounded, and so are their bytes.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use super::{Corridor, delivery::Claimed, forward::expires, work::Worked};
use crate::{
    envelope::Request,
    fair::{Entry, Seat, Waiting},
    lending::Loan,
    transport::Disposition,
};

/// The longest wait in line: half of what RabbitMQ waits for an acknowledgement (`consumer_timeout`). Beyond that, it would take
/// everything back that is in flight.
const MOST: Duration = Duration::from_secs(15 * 60);

/// What lets a request wait without its permit.
#[derive(Debug)]
struct Aside {
    _loan: Loan,
    _room: OwnedSemaphorePermit,
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
        let waiting = match self.line.enter(Arc::clone(&handler), request) {
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
