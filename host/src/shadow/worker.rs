//! Runs what waits, one request after the other, and has it judged.
//!
//! Before it: [`super::intake`]. After it: [`super::evidence`]. While the service is busy, and while another shadow's request runs, it
//! waits.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Semaphore, mpsc::Receiver},
    time::sleep,
};

use super::{
    evidence::Evidence,
    intake::{Intake, Run, Why},
    judgement::{Judged, at_another_time, judge, noise},
};
use crate::{
    metrics::{Compared, Metrics},
    recording::Names,
    replay::{Verdict, paths::Ignored, replay_at},
    sandbox::Program,
};

/// How often it looks whether the service is still busy.
const EVERY: Duration = Duration::from_millis(10);

/// What it takes to compare the requests of one shadow.
#[derive(Debug)]
pub struct Worker {
    /// The new version.
    pub candidate: Program,
    /// The version that serves, where it is run again as well.
    pub live: Option<Program>,
    /// Paths that may differ.
    pub ignored: Ignored,
    /// After so many there is nothing more to find out.
    pub until: Option<u64>,
    /// What was found.
    pub evidence: Arc<Mutex<Evidence>>,
    /// Where the requests come from.
    pub intake: Intake,
    /// Held while a request runs: one at a time, of all shadows.
    pub turn: Arc<Semaphore>,
    /// Who knows whether the service is busy.
    pub metrics: Metrics,
}

impl Worker {
    /// Compares until nobody sends any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the guest ends where it is, and its request is not counted.
    pub async fn work(self, mut runs: Receiver<Run>) {
        let names = Names::default();
        while let Some(run) = runs.recv().await {
            if self.until.is_some_and(|until| lock(&self.evidence).compared() >= until) {
                self.intake.skip(Why::Dropped);
                continue;
            }
            while self.metrics.is_busy() {
                sleep(EVERY).await;
            }
            let Ok(_turn) = self.turn.acquire().await else { return };
            // A fault of the host's concerns one request here as well.
            let judged = AssertUnwindSafe(self.judged(&run, &names)).catch_unwind().await;
            match judged {
                Ok(Some(judged)) => {
                    lock(&self.evidence).note(&run.key, &judged, &run.named);
                    self.intake.compared(counted(judged.verdict));
                }
                Ok(None) => self.intake.skip(Why::Noisy),
                Err(_) => self.intake.skip(Why::NotRun),
            }
        }
    }

    /// Runs a request on the new version and, where that differs and it is wished for, again on the one that serves. `None` where that
    /// does not do the same twice.
    async fn judged(&self, run: &Run, names: &Names) -> Option<Judged> {
        let compared = replay_at(&self.candidate, &run.recording, run.endpoint, &self.ignored).await;
        let judged = judge(&compared, &BTreeSet::new(), names);
        // Up to where it failed it did the same: that is no noise.
        let live = self.live.as_ref().filter(|_| !matches!(judged.verdict, Verdict::Same | Verdict::Failed));
        let Some(live) = live else { return Some(judged) };
        let other = at_another_time(&run.recording);
        let itself = replay_at(live, &other, other.request.endpoint, &self.ignored).await;
        let paths = noise(&itself, names)?;
        let known = lock(&self.evidence).noise(&run.key, paths);
        Some(judge(&compared, &known, names))
    }
}

fn counted(verdict: Verdict) -> Compared {
    match verdict {
        Verdict::Same => Compared::Same,
        Verdict::Differs => Compared::Differs,
        Verdict::Diverged => Compared::Diverged,
        Verdict::Failed => Compared::Failed,
    }
}

/// A panic while it was held cannot leave more than one count undone.
pub(super) fn lock(evidence: &Mutex<Evidence>) -> MutexGuard<'_, Evidence> {
    evidence.lock().unwrap_or_else(PoisonError::into_inner)
}
