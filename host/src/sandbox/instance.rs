//! Instances: a new one for each request or, where the manifest says so, one for several requests in turn.
//!
//! Before it: [`super::Program`] has code to be run. After it: the guest. Only an instance that has returned an answer is
//! kept: one that trapped, was stopped or was dropped half-way may be in any state, and serves nobody again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use super::{
    RequestInfo, Shared,
    cpu::Cpu,
    fault::Fault,
    limits::Limits,
    state::{State, store, within},
};
use crate::{
    capability::Grants,
    metrics::{Handler, Limit, Origin},
};

/// How long an instance waits for its next request. Python's hold some 13 MiB each.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(60);

/// The instances of one program.
pub(super) struct Instances {
    pre: InstancePre<State>,
    shared: Arc<Shared>,
    grants: Arc<Grants>,
    metrics: Handler,
    kept: Mutex<Shelf>,
}

/// Instances that wait for a request, the last used last.
#[derive(Default)]
struct Shelf {
    kept: Vec<Kept>,
    /// Whether somebody clears away what nobody needs.
    is_swept: bool,
}

/// An instance that waits.
struct Kept {
    live: Live,
    since: tokio::time::Instant,
    _place: OwnedSemaphorePermit,
}

/// An instance, with how many requests it has answered.
struct Live {
    store: Store<State>,
    instance: Instance,
    served: u32,
}

impl Instances {
    pub(super) fn new(pre: InstancePre<State>, shared: Arc<Shared>, grants: Arc<Grants>, metrics: Handler) -> Self {
        Self { pre, shared, grants, metrics, kept: Mutex::default() }
    }

    /// Others of the same code.
    pub(super) fn others(&self, grants: Arc<Grants>, metrics: Handler) -> Self {
        Self::new(self.pre.clone(), Arc::clone(&self.shared), grants, metrics)
    }

    /// What its program may do beyond computing.
    pub(super) fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    /// What is counted about its handler.
    pub(super) fn metrics(&self) -> &Handler {
        &self.metrics
    }

    /// Runs a request in an instance; it serves at most `limits.reuse` of them. Without `info` nobody asks, and the
    /// instance is a new one.
    ///
    /// # Errors
    ///
    /// [`Fault`] where the guest does not answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the instance ends where it is.
    pub(super) async fn run<T>(
        self: &Arc<Self>,
        limits: &Limits,
        since: Instant,
        info: Option<RequestInfo>,
        call: impl AsyncFnOnce(&Instance, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let (deadline, cpu) = (since + limits.timeout, Cpu::new(limits.cpu));
        let Shared { ticker, turns, .. } = &*self.shared;
        let is_request = info.is_some();
        let tape = info.as_ref().map(|info| info.tape.clone()).unwrap_or_default();
        let kept = if is_request && !tape.wants_fresh() { self.take() } else { None };
        if is_request {
            self.metrics.instance(if kept.is_some() { Origin::Kept } else { Origin::Fresh });
        }
        let mut live = match kept {
            Some(mut live) => {
                live.begin(limits, info, deadline, &cpu);
                live
            }
            None => {
                let mut store = store(self.pre.engine(), limits, &self.grants, info, deadline, &cpu);
                let instantiating = self.pre.instantiate_async(&mut store);
                let started = within(ticker, turns, &self.metrics, deadline, &cpu, instantiating).await;
                let instance = started.map_err(|error| {
                    store.data_mut().flush();
                    Fault::classify_start(&error, store.data_mut().log.take_panic(), limits)
                })?;
                store.data_mut().limiter.is_started();
                Live { store, instance, served: 0 }
            }
        };
        tape.begins(live.served);
        let ran = within(ticker, turns, &self.metrics, deadline, &cpu, call(&live.instance, &mut live.store)).await;
        let state = live.store.data_mut();
        state.flush();
        tape.used(state.limiter.memory());
        if state.log.exceeded() {
            self.metrics.hit(Limit::Log);
        }
        let is_declined = state.asked.is_declined();
        match ran {
            Ok(answer) => {
                if is_request && !tape.is_replaying() {
                    self.keep(live, limits);
                }
                if is_declined { Err(Fault::Declined) } else { Ok(answer) }
            }
            Err(error) => Err(Fault::classify(&error, state.log.take_panic(), limits)),
        }
    }

    /// The instance that was used last: its memory is most likely still in the processor's caches.
    fn take(&self) -> Option<Live> {
        self.shelf().kept.pop().map(|kept| kept.live)
    }

    /// Keeps an instance for the next request, if it may serve another and there is room.
    fn keep(self: &Arc<Self>, mut live: Live, limits: &Limits) {
        live.served = live.served.saturating_add(1);
        if live.served >= limits.reuse || live.store.data().is_worn() {
            return;
        }
        let Ok(place) = Arc::clone(&self.shared.kept).try_acquire_owned() else { return };
        live.store.data_mut().end();
        let mut shelf = self.shelf();
        shelf.kept.push(Kept { live, since: tokio::time::Instant::now(), _place: place });
        if !std::mem::replace(&mut shelf.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// What holds of the instances that wait.
    #[cfg(test)]
    pub(super) fn waiting<T>(&self, of: impl Fn(&State) -> T) -> Vec<T> {
        self.shelf().kept.iter().map(|kept| of(kept.live.store.data())).collect()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Nothing of the last request is left but what the guest itself has kept.
    fn begin(&mut self, limits: &Limits, info: Option<RequestInfo>, deadline: Instant, cpu: &Cpu) {
        self.store.data_mut().begin(limits, info, deadline, cpu);
        self.store.set_hostcall_fuel(limits.result.0);
        // Without it, the guest would yield at once: a tick or more has passed.
        self.store.set_epoch_deadline(1);
    }
}

/// Ends what nobody has needed for [`KEPT_FOR`], as long as there is anything.
async fn sweep(instances: Weak<Instances>) {
    loop {
        tokio::time::sleep(KEPT_FOR).await;
        let Some(instances) = instances.upgrade() else { return };
        let now = tokio::time::Instant::now();
        let mut shelf = instances.shelf();
        let fresh = shelf.kept.iter().position(|kept| now - kept.since < KEPT_FOR).unwrap_or(shelf.kept.len());
        let idle: Vec<Kept> = shelf.kept.drain(..fresh).collect();
        shelf.is_swept = !shelf.kept.is_empty();
        let is_over = !shelf.is_swept;
        // Giving memory back takes a while, in which nobody needs to wait for the lock.
        drop(shelf);
        drop(idle);
        if is_over {
            return;
        }
    }
}
