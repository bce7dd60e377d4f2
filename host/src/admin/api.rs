//! What every route has at hand.
//!
//! Made by [`super::Admin`]; used by [`super::routes`].

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{asked::Asked, problem::Problem, seats::Seats, who::Gate};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest, Kind},
    operate::{Operated, Role, needed, operate},
    page::Page,
};

/// Components that are sent at once; each may be large, and is on the disk until it is loaded.
const MAX_UPLOADS: usize = 2;

/// What every route has at hand.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) operated: Operated,
    pub(super) page: Page,
    pub(super) gate: Gate,
    /// Streams of events.
    pub(super) seats: Seats,
    /// Names of the listener that are configured, and those of its certificate.
    pub(super) names: Vec<String>,
    pub(super) certified: watch::Receiver<Arc<Vec<String>>>,
    /// The description of all routes.
    pub(super) document: Bytes,
    pub(super) uploads: Semaphore,
    /// Held by whoever looks: looking without a pause costs a part of one worker and no more.
    turn: Mutex<()>,
    /// Changes under way, and what ends them.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Api {
    pub(super) fn new(
        operated: Operated,
        page: Page,
        gate: Gate,
        names: Vec<String>,
        certified: watch::Receiver<Arc<Vec<String>>>,
        document: Bytes,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Self {
        let (uploads, turn) = (Semaphore::new(MAX_UPLOADS), Mutex::default());
        let seats = Seats::default();
        Self { operated, page, gate, seats, names, certified, document, uploads, turn, tasks, stop }
    }

    /// Does what is asked. A change goes on where the client does not wait for it; `keep` is kept as long.
    pub(super) async fn operate<K: Send + 'static>(
        &self,
        request: ControlRequest,
        asked: &Asked,
        keep: K,
    ) -> Result<ControlAnswer, Problem> {
        let Some(who) = &asked.who else { return Err(Problem::unauthorized("nobody knows who asks")) };
        let (operated, caller) = (self.operated.clone(), who.caller.clone());
        if needed(&request) == Role::Read {
            let _turn = self.turn.lock().await;
            return Ok(operate(request, operated, &caller).await);
        }
        let stop = self.stop.clone();
        let changing = self.tasks.spawn(async move {
            let changed = stop.run_until_cancelled(operate(request, operated, &caller)).await;
            drop(keep);
            changed
        });
        match changing.await {
            Ok(Some(changed)) => Ok(changed),
            Ok(None) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service stops")),
            Err(error) => Ok(ControlAnswer::failed(Kind::Internal, error.to_string())),
        }
    }
}
