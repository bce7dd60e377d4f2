//! What the host keeps for one instance while it runs.

use std::{sync::Arc, time::Instant};

use wasmtime::{Store, UpdateDeadline};

use super::{
    bindings::types,
    engine::Ticker,
    fault::DeadlinePassed,
    limits::{Limiter, Limits},
    log::Log,
    request_info::RequestInfo,
    turns::Turns,
    wasi::Wasi,
};
use crate::{capability::Grants, settings::Bytes};

/// The data of a store: one field for each import that has state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) log: Log,
    pub(super) request: Option<RequestInfo>,
    pub(super) grants: Arc<Grants>,
    pub(super) deadline: Instant,
    pub(super) wasi: Wasi,
}

/// `types` has no functions.
impl types::Host for State {}

impl State {
    /// Makes ready for a request in an instance that has answered another.
    pub(super) fn begin(&mut self, limits: &Limits, request: Option<RequestInfo>, deadline: Instant) {
        (self.log, self.request, self.deadline) = (Log::new(limits.log), request, deadline);
    }

    /// Lets go of a request: its context holds a token, its log says in its span what was left out.
    pub(super) fn end(&mut self) {
        (self.log, self.request) = (Log::new(Bytes(0)), None);
        self.wasi.end();
    }

    /// Whether another request might run into a limit because of what earlier ones have left behind.
    pub(super) fn is_worn(&self) -> bool {
        self.limiter.is_worn() || self.wasi.is_worn()
    }
}

/// Makes a store whose guest stops within a tick of `deadline`.
pub(super) fn store(
    engine: &wasmtime::Engine,
    limits: &Limits,
    grants: &Arc<Grants>,
    request: Option<RequestInfo>,
    deadline: Instant,
) -> Store<State> {
    let (limiter, log) = (Limiter::new(limits), Log::new(limits.log));
    let state = State { limiter, log, request, grants: Arc::clone(grants), deadline, wasi: Wasi::new() };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.result.0);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        if Instant::now() >= context.data().deadline {
            Err(wasmtime::Error::new(DeadlinePassed))
        } else {
            Ok(UpdateDeadline::Yield(1))
        }
    });
    store
}

/// Runs a future of the guest until the deadline and a little longer, for host functions that do not return in time.
pub(super) async fn within<T>(
    ticker: &Ticker,
    turns: &Turns,
    deadline: Instant,
    run: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let _ticking = ticker.tick();
    match tokio::time::timeout_at((deadline + super::limits::GRACE).into(), turns.run(deadline, run)).await {
        Ok(result) => result,
        Err(_) => Err(wasmtime::Error::new(DeadlinePassed)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A function of the host that does not return, however long the guest waits for it.
    #[tokio::test]
    async fn a_host_call_that_blocks_is_cut_off_after_the_deadline() {
        let engine = wasmtime::Engine::default();
        let (ticker, turns) = (Ticker::start(&engine).unwrap(), Turns::new());
        let deadline = Instant::now() + Duration::from_millis(20);
        let blocked = std::future::pending::<wasmtime::Result<()>>();
        let error = within(&ticker, &turns, deadline, blocked).await.unwrap_err();
        assert!(error.downcast_ref::<DeadlinePassed>().is_some(), "{error:?}");
        assert!(Instant::now() >= deadline);
    }
}
