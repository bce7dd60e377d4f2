//! `wasi:clocks`: the time, and how long something takes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Linker, Lower},
};

use super::{View, handles::Wake, versioned};
use crate::sandbox::tape::nothing;

/// What both clocks tell of the time, in nanoseconds: enough for every timeout, and coarser than what a side channel
/// wants.
const RESOLUTION: u64 = 1000;

/// The year 2100, in nanoseconds: the time where a recording has none.
const LATER: u64 = 4_102_444_800_000_000_000;

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Store<'a, T> = StoreContextMut<'a, T>;

/// Nanoseconds, rounded down.
fn coarse(time: Duration) -> u64 {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    nanoseconds - nanoseconds % RESOLUTION
}

/// Where a tape has no more of a clock, it goes on a little with each look, from what it showed last: the same each time.
fn beyond(first: u64) -> impl FnOnce(u64, Option<u64>) -> u64 {
    move |count, last| last.unwrap_or(first).saturating_add(count.saturating_mul(RESOLUTION))
}

/// When an instant of the guest's is.
fn wake(from: Instant, nanoseconds: u64) -> Wake {
    from.checked_add(Duration::from_nanos(nanoseconds)).map_or(Wake::Never, Wake::At)
}

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut monotonic = linker.instance(&versioned("clocks/monotonic-clock"))?;
    monotonic.func_wrap("now", |mut store: Store<'_, T>, ()| {
        let wasi = store.data_mut().wasi();
        let now = || coarse(wasi.started.elapsed());
        Ok((wasi.tape.notices("wasi:clocks/monotonic-clock.now", nothing, now, beyond(0)),))
    })?;
    monotonic.func_wrap("resolution", |_: Store<'_, T>, ()| Ok((RESOLUTION,)))?;
    monotonic.func_wrap("subscribe-instant", |mut store: Store<'_, T>, (when,): (u64,)| {
        let wasi = store.data_mut().wasi();
        wasi.pollable(wake(wasi.started, when))
    })?;
    monotonic.func_wrap("subscribe-duration", |mut store: Store<'_, T>, (time,): (u64,)| {
        store.data_mut().wasi().pollable(wake(Instant::now(), time))
    })?;

    let mut wall = linker.instance(&versioned("clocks/wall-clock"))?;
    wall.func_wrap("now", |mut store: Store<'_, T>, ()| {
        let now = || coarse(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let now = store.data_mut().wasi().tape.notices("wasi:clocks/wall-clock.now", nothing, now, beyond(LATER));
        let now = Duration::from_nanos(now);
        Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
    })?;
    wall.func_wrap("resolution", |_: Store<'_, T>, ()| {
        Ok((Datetime { seconds: 0, nanoseconds: u32::try_from(RESOLUTION)? },))
    })
}
