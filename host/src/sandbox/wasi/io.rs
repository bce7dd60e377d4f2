//! `wasi:io`: streams that lead to the log or from nowhere, or are bodies of [`super::http`], and waiting, which costs
//! no thread.

use std::time::Instant;

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType},
};

use super::{
    Wasi,
    cli::Channel,
    http::{self, Awaited},
    misuse, versioned,
};
use crate::sandbox::state::State;

/// Bytes that `check-write` invites to write at once; what is written beyond it is taken as well.
const WRITE: u64 = 4096;

/// `wasi:io/error`'s resource, with which only bodies of HTTP fail.
pub(super) struct IoError;

/// A stream that is at its end, or a body.
pub(super) struct InputStream;

/// A stream into the log, of which the handle is the [`Channel`], or a body.
pub(super) struct OutputStream;

/// What can be waited for; the handle is the position in [`Wasi::pollables`].
pub(super) struct Pollable;

/// When something that is waited for comes.
#[derive(Clone, Debug)]
pub(super) enum Wake {
    Now,
    At(Instant),
    Never,
    Http(Awaited),
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

pub(super) type Read = Result<Vec<u8>, StreamError>;
pub(super) type Count = Result<u64, StreamError>;
pub(super) type Done = Result<(), StreamError>;
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
        let wake = self.pollables.get(usize::try_from(handle)?).cloned().flatten();
        wake.ok_or_else(|| misuse("it used a pollable that is not there"))
    }

    fn is_ready(&self, handle: u32) -> wasmtime::Result<bool> {
        Ok(self.wake(handle)?.is_past(Instant::now()))
    }
}

impl Wake {
    fn is_past(&self, now: Instant) -> bool {
        match self {
            Self::Now => true,
            Self::At(at) => *at <= now,
            Self::Never => false,
            Self::Http(awaited) => awaited.is_here(),
        }
    }
}

/// Waits until one of these is ready, and says which are. Who runs the guest ends it where that takes too long.
async fn wait(store: Store<'_>, handles: &[u32]) -> wasmtime::Result<Vec<u32>> {
    let state = store.data();
    let wakes = handles.iter().map(|handle| state.wasi.wake(*handle)).collect::<wasmtime::Result<Vec<_>>>()?;
    Ok(wait_for(state, &wakes).await)
}

async fn wait_for(state: &State, wakes: &[Wake]) -> Vec<u32> {
    let woken = &state.wasi.http.woken;
    loop {
        let now = Instant::now();
        let ready = wakes.iter().zip(0..).filter(|(wake, _)| wake.is_past(now)).map(|(_, at)| at);
        let ready: Vec<u32> = ready.collect();
        if !ready.is_empty() {
            return ready;
        }
        let next = wakes.iter().filter_map(|wake| if let Wake::At(at) = wake { Some(*at) } else { None }).min();
        let asleep = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = asleep => {}
            // Told before anybody waits, it is kept.
            () = woken.notified() => {}
        }
    }
}

/// Reads from a stream, and waits for something to read where nothing is there yet.
async fn read(mut store: Store<'_>, handle: u32, most: u64) -> wasmtime::Result<(Read,)> {
    if !http::is(handle) {
        return Ok((Err(StreamError::Closed),));
    }
    let wake = store.data_mut().body_wake(handle)?;
    wait_for(store.data(), &[wake]).await;
    Ok((store.data_mut().read_body(handle, most)?,))
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut error = linker.instance(&versioned("io/error"))?;
    error.resource("error", ResourceType::host::<IoError>(), |mut store, handle| store.data_mut().drop_slot(handle))?;
    error.func_wrap("[method]error.to-debug-string", |mut store: Store<'_>, (this,): (Resource<IoError>,)| {
        Ok((store.data_mut().error_behind(this.rep())?.to_string(),))
    })?;

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
    let drop_stream = |mut store: Store<'_>, handle| {
        if http::is(handle) {
            return store.data_mut().drop_slot(handle);
        }
        store.data_mut().wasi.release();
        Ok(())
    };
    streams.resource("input-stream", ResourceType::host::<InputStream>(), drop_stream)?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), drop_stream)?;
    input(&mut streams)?;
    output(&mut streams)
}

fn input(streams: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    let count = |read: Read| -> wasmtime::Result<Count> {
        Ok(match read {
            Ok(bytes) => Ok(u64::try_from(bytes.len())?),
            Err(error) => Err(error),
        })
    };
    streams.func_wrap(
        "[method]input-stream.read",
        |mut store: Store<'_>, (this, most): (Resource<InputStream>, u64)| -> wasmtime::Result<(Read,)> {
            if http::is(this.rep()) {
                return Ok((store.data_mut().read_body(this.rep(), most)?,));
            }
            Ok((Err(StreamError::Closed),))
        },
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-read",
        |store: Store<'_>, (this, most): (Resource<InputStream>, u64)| Box::new(read(store, this.rep(), most)),
    )?;
    streams.func_wrap(
        "[method]input-stream.skip",
        move |mut store: Store<'_>, (this, most): (Resource<InputStream>, u64)| -> wasmtime::Result<(Count,)> {
            if http::is(this.rep()) {
                return Ok((count(store.data_mut().read_body(this.rep(), most)?)?,));
            }
            Ok((Err(StreamError::Closed),))
        },
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-skip",
        move |store: Store<'_>, (this, most): (Resource<InputStream>, u64)| {
            Box::new(async move { Ok((count(read(store, this.rep(), most).await?.0)?,)) })
        },
    )?;
    streams.func_wrap("[method]input-stream.subscribe", |mut store: Store<'_>, (this,): (Resource<InputStream>,)| {
        let state = store.data_mut();
        let wake = if http::is(this.rep()) { state.body_wake(this.rep())? } else { Wake::Now };
        state.wasi.pollable(wake)
    })
}

fn output(streams: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    streams.func_wrap("[method]output-stream.subscribe", |mut store: Store<'_>, _: (Resource<OutputStream>,)| {
        store.data_mut().wasi.pollable(Wake::Now)
    })?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |_: Store<'_>, (this,): (Resource<OutputStream>,)| -> wasmtime::Result<(Count,)> {
            Ok((Ok(if http::is(this.rep()) { http::WRITE } else { WRITE }),))
        },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_>, (this, bytes): (Resource<OutputStream>, Vec<u8>)| -> wasmtime::Result<(Done,)> {
                if http::is(this.rep()) {
                    return Ok((store.data_mut().write_body(this.rep(), &bytes)?,));
                }
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
            |mut store: Store<'_>, (this, count): (Resource<OutputStream>, u64)| -> wasmtime::Result<(Done,)> {
                if http::is(this.rep()) {
                    return Ok((store.data_mut().write_zeroes(this.rep(), count)?,));
                }
                Ok((Ok(()),))
            },
        )?;
    }
    streams.func_wrap(
        "[method]output-stream.splice",
        |mut store: Store<'_>,
         (to, from, most): (Resource<OutputStream>, Resource<InputStream>, u64)|
         -> wasmtime::Result<(Count,)> { Ok((splice(store.data_mut(), to.rep(), from.rep(), most)?,)) },
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-splice",
        |mut store: Store<'_>, (to, from, most): (Resource<OutputStream>, Resource<InputStream>, u64)| {
            Box::new(async move {
                if http::is(from.rep()) {
                    let wake = store.data_mut().body_wake(from.rep())?;
                    wait_for(store.data(), &[wake]).await;
                }
                Ok((splice(store.data_mut(), to.rep(), from.rep(), most)?,))
            })
        },
    )
}

/// Copies from one body to another; the console's streams are at their end.
fn splice(state: &mut State, to: u32, from: u32, most: u64) -> wasmtime::Result<Count> {
    if http::is(to) && http::is(from) { state.splice(to, from, most) } else { Ok(Err(StreamError::Closed)) }
}
