//! What the host keeps for one instance while it runs.

use std::{sync::Arc, time::Instant};

use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{HasSelf, Linker},
};

use super::{
    bindings::{client, config, keyvalue, log, request_info, trace, types},
    cpu::Cpu,
    engine::Ticker,
    fault::DeadlinePassed,
    limits::{Limiter, Limits},
    log::Log,
    request_info::{Asked, RequestInfo},
    tape::Tape,
    trace::{OfRequest, Trace, Traced},
    turns::Turns,
    wasi::{self, View, Wasi},
};
use crate::{capability::Grants, metrics::Handler, settings::Bytes};

/// The data of a store: one field for each import that has state. Each import's functions see their own field alone.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) log: Log,
    pub(super) asked: Asked,
    pub(super) cpu: Cpu,
    trace: Trace,
    grants: Arc<Grants>,
    wasi: Wasi,
}

/// `types` has no functions.
impl types::Host for State {}

impl View for State {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }

    fn log(&mut self) -> &mut Log {
        &mut self.log
    }
}

impl State {
    /// Makes ready for a request in an instance that has answered another.
    pub(super) fn begin(&mut self, limits: &Limits, mut info: Option<RequestInfo>, deadline: Instant, cpu: &Cpu) {
        let tape = tape(info.as_ref());
        self.log.begin(limits.log, tape.clone());
        self.trace = traced(&mut info);
        self.asked = Asked::new(info, deadline);
        self.cpu = cpu.clone();
        self.wasi.begin(self.asked.session(), tape);
    }

    /// Lets go of a request: its context holds a token, its log says in its span what was left out.
    pub(super) fn end(&mut self) {
        self.log.begin(Bytes(0), Tape::default());
        self.trace = Trace::default();
        self.asked.end();
        self.wasi.end();
    }

    /// Logs what was printed without an end of line.
    pub(super) fn flush(&mut self) {
        wasi::flush(self);
    }

    /// Whether another request might run into a limit because of what earlier ones have left behind.
    pub(super) fn is_worn(&self) -> bool {
        self.limiter.is_worn() || self.wasi.is_worn()
    }
}

/// Links everything that a component may import, WASI's files and sockets aside. What of it one may import is its
/// manifest's to say, and held against its imports when it is loaded.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let to = &mut linker;
    types::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| state)?;
    log::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| &mut state.log)?;
    request_info::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| &mut state.asked)?;
    config::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| &mut state.grants)?;
    client::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| &mut state.asked)?;
    keyvalue::add_to_linker::<_, HasSelf<_>>(to, |state: &mut State| &mut state.asked)?;
    trace::add_to_linker::<_, OfRequest>(to, |State { trace, log, .. }: &mut State| Traced { trace, log })?;
    wasi::add_to_linker(to)?;
    Ok(linker)
}

/// Makes a store whose guest stops within a tick of `deadline`, or of the end of its CPU time.
pub(super) fn store(
    engine: &Engine,
    limits: &Limits,
    grants: &Arc<Grants>,
    mut info: Option<RequestInfo>,
    deadline: Instant,
    cpu: &Cpu,
) -> Store<State> {
    let (tape, trace) = (tape(info.as_ref()), traced(&mut info));
    let asked = Asked::new(info, deadline);
    let wasi = Wasi::new(asked.session()).taped(tape.clone());
    let (limiter, log) = (Limiter::new(limits), Log::new(limits.log, grants).taped(tape));
    let state = State { limiter, log, asked, cpu: cpu.clone(), trace, grants: Arc::clone(grants), wasi };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.result.0);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| {
        let state = context.data();
        if Instant::now() >= state.asked.deadline() {
            return Err(wasmtime::Error::new(DeadlinePassed));
        }
        state.cpu.check().map(|()| UpdateDeadline::Yield(1)).map_err(wasmtime::Error::new)
    });
    store
}

/// What a request adds to its trace.
fn traced(info: &mut Option<RequestInfo>) -> Trace {
    let is_request = info.is_some();
    let marks = info.as_mut().and_then(|info| info.marks.take());
    Trace::new(marks, is_request).taped(tape(info.as_ref()))
}

/// Where a request is taped, or told from.
fn tape(info: Option<&RequestInfo>) -> Tape {
    info.map(|info| info.tape.clone()).unwrap_or_default()
}

/// Runs a future of the guest until the deadline and a little longer, for host functions that do not return in time.
pub(super) async fn within<T>(
    ticker: &Ticker,
    turns: &Turns,
    metrics: &Handler,
    deadline: Instant,
    cpu: &Cpu,
    run: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let _ticking = ticker.tick();
    // What a guest computes takes real time. A wait takes the runtime's, which tests set forward.
    let left = deadline.saturating_duration_since(Instant::now());
    let computed = |took| {
        metrics.computed(took);
        cpu.used(took);
    };
    match tokio::time::timeout(left + super::limits::GRACE, turns.run(deadline, computed, run)).await {
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
        let handler = crate::metrics::Metrics::default().handler("a");
        let deadline = Instant::now() + Duration::from_millis(20);
        let blocked = std::future::pending::<wasmtime::Result<()>>();
        let error = within(&ticker, &turns, &handler, deadline, &Cpu::new(None), blocked).await.unwrap_err();
        assert!(error.downcast_ref::<DeadlinePassed>().is_some(), "{error:?}");
        assert!(Instant::now() >= deadline);
    }
}
