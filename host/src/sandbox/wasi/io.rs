//! `wasi:io`: streams that lead to the log or from nowhere, and waiting, which costs no thread.

use std::time::Instant;

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType},
};

use super::{Wasi, cli::Channel, misuse, versioned};
use crate::sandbox::state::State;

/// Bytes that `check-write` invites to write at once; what is written beyond it is taken as well.
const WRITE: u64 = 4096;

/// `wasi:io/error`'s resource. Nothing here fails with one.
pub(super) struct IoError;

/// A stream that is at its end.
pub(super) struct InputStream;

/// A stream into the log; the handle is the [`Channel`].
pub(super) struct OutputStream;

/// What can be waited for; the handle is the position in [`Wasi::pollables`].
pub(super) struct Pollable;

/// When something that is waited for comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Now,
    At(Instant),
    Never,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Read = Result<Vec<u8>, StreamError>;
type Count = Result<u64, StreamError>;
type Done = Result<(), StreamError>;
type Store<'a> = StoreContextMut<'a, State>;

impl Wasi {
    /// A handle on something that can be waited for.
    pub(super) fn pollable(&mut self, wake: Wake) -> wasmtime::Result<(Resource<Pollable>,)> {
        self.hold()?;
        let free = self.pollables.iter().position(Option::is_none).unwrap_or(self.pollables.len());
        match self.pollables.get_mut(free) {
            Some(place) => *place = Some(wake),
            None => self.pollables.push(Some(wake)),
        }
        Ok((Resource::new_own(u32::try_from(free)?),))
    }

    fn wake(&self, handle: u32) -> wasmtime::Result<Wake> {
        let wake = self.pollables.get(usize::try_from(handle)?).copied().flatten();
        wake.ok_or_else(|| misuse("it used a pollable that is not there"))
    }

    fn is_ready(&self, handle: u32) -> wasmtime::Result<bool> {
        Ok(self.wake(handle)?.is_past(Instant::now()))
    }
}

impl Wake {
    fn is_past(self, now: Instant) -> bool {
        match self {
            Self::Now => true,
            Self::At(at) => at <= now,
            Self::Never => false,
        }
    }
}

/// Waits until one of these is ready, and says which are. Who runs the guest ends it where that takes too long.
async fn wait(store: Store<'_>, handles: &[u32]) -> wasmtime::Result<Vec<u32>> {
    let wasi = &store.data().wasi;
    let wakes = handles.iter().map(|handle| wasi.wake(*handle)).collect::<wasmtime::Result<Vec<_>>>()?;
    loop {
        let now = Instant::now();
        let ready = wakes.iter().zip(0..).filter(|(wake, _)| wake.is_past(now)).map(|(_, at)| at);
        let ready: Vec<u32> = ready.collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
        match wakes.iter().filter_map(|wake| if let Wake::At(at) = wake { Some(*at) } else { None }).min() {
            Some(next) => tokio::time::sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut error = linker.instance(&versioned("io/error"))?;
    error.resource("error", ResourceType::host::<IoError>(), |_, _| Ok(()))?;
    error.func_wrap("[method]error.to-debug-string", |_: Store<'_>, _: (Resource<IoError>,)| Ok((String::new(),)))?;

    let mut poll = linker.instance(&versioned("io/poll"))?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), |mut store, handle| {
        let wasi = &mut store.data_mut().wasi;
        if let Some(place) = wasi.pollables.get_mut(usize::try_from(handle)?) {
            *place = None;
        }
        wasi.release();
        Ok(())
    })?;
    poll.func_wrap("[method]pollable.ready", |store: Store<'_>, (this,): (Resource<Pollable>,)| {
        Ok((store.data().wasi.is_ready(this.rep())?,))
    })?;
    poll.func_wrap_async("[method]pollable.block", |store: Store<'_>, (this,): (Resource<Pollable>,)| {
        Box::new(async move { wait(store, &[this.rep()]).await.map(drop) })
    })?;
    poll.func_wrap_async("poll", |store: Store<'_>, (of,): (Vec<Resource<Pollable>>,)| {
        Box::new(async move {
            if of.is_empty() {
                return Err(misuse("it polled nothing"));
            }
            let handles: Vec<u32> = of.iter().map(Resource::rep).collect();
            Ok((wait(store, &handles).await?,))
        })
    })?;
    streams(linker)
}

fn streams(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut streams = linker.instance(&versioned("io/streams"))?;
    let drop_stream = |mut store: Store<'_>, _| {
        store.data_mut().wasi.release();
        Ok(())
    };
    streams.resource("input-stream", ResourceType::host::<InputStream>(), drop_stream)?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), drop_stream)?;

    for name in ["read", "blocking-read"] {
        let name = format!("[method]input-stream.{name}");
        streams.func_wrap(&name, |_: Store<'_>, _: (Resource<InputStream>, u64)| -> wasmtime::Result<(Read,)> {
            Ok((Err(StreamError::Closed),))
        })?;
    }
    for name in ["skip", "blocking-skip"] {
        let name = format!("[method]input-stream.{name}");
        streams.func_wrap(&name, |_: Store<'_>, _: (Resource<InputStream>, u64)| -> wasmtime::Result<(Count,)> {
            Ok((Err(StreamError::Closed),))
        })?;
    }
    streams.func_wrap("[method]input-stream.subscribe", |mut store: Store<'_>, _: (Resource<InputStream>,)| {
        store.data_mut().wasi.pollable(Wake::Now)
    })?;

    streams.func_wrap("[method]output-stream.subscribe", |mut store: Store<'_>, _: (Resource<OutputStream>,)| {
        store.data_mut().wasi.pollable(Wake::Now)
    })?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |_: Store<'_>, _: (Resource<OutputStream>,)| -> wasmtime::Result<(Count,)> { Ok((Ok(WRITE),)) },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>, (this, bytes): (Resource<OutputStream>, Vec<u8>)| -> wasmtime::Result<(Done,)> {
                store.data_mut().print(Channel::of(this.rep()), &bytes);
                Ok((Ok(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |_: Store<'_>, _: (Resource<OutputStream>,)| -> wasmtime::Result<(Done,)> { Ok((Ok(()),)) },
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        // Zeroes are nothing that a log could show.
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |_: Store<'_>, _: (Resource<OutputStream>, u64)| -> wasmtime::Result<(Done,)> { Ok((Ok(()),)) },
        )?;
    }
    for name in ["splice", "blocking-splice"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |_: Store<'_>, _: (Resource<OutputStream>, Resource<InputStream>, u64)| -> wasmtime::Result<(Count,)> {
                Ok((Err(StreamError::Closed),))
            },
        )?;
    }
    Ok(())
}
