//! `wasi:io`: streams that lead to the log or from nowhere, or are bodies of [`super::http`], and waiting, which costs
//! no thread.

use std::{sync::Arc, time::Instant};

use tokio::sync::Notify;
use wasmtime::{
    StoreContextMut,
    component::{Linker, LinkerInstance, Resource, ResourceType},
};

use super::{
    MAX_HANDLES, View, Wasi,
    cli::{self, Channel},
    handles::{Count, Done, InputStream, IoError, OutputStream, Pollable, Read, StreamError, Wake},
    http, misuse, versioned,
};
use crate::sandbox::tape::{nothing, text};

/// Bytes that `check-write` invites to write at once; what is written beyond it is taken as well.
const WRITE: u64 = 4096;

type Store<'a, T> = StoreContextMut<'a, T>;

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
        let wake = self.wake(handle)?;
        let is_past = || wake.is_past(Instant::now());
        Ok(self.tape.notices("wasi:io/poll.ready", nothing, is_past, |_, _| true))
    }
}

/// Waits until one of these is ready, and says which are. Who runs the guest ends it where that takes too long.
async fn wait<T: View>(mut store: Store<'_, T>, handles: &[u32]) -> wasmtime::Result<Vec<u32>> {
    let wasi = store.data_mut().wasi();
    let wakes = handles.iter().map(|handle| wasi.wake(*handle)).collect::<wasmtime::Result<Vec<_>>>()?;
    let (woken, tape) = (Arc::clone(&wasi.http.woken), wasi.tape.clone());
    let all = || (0..).take(handles.len()).collect();
    let ready =
        tape.notices_in_time("wasi:io/poll.poll", || text(&handles.len()), wait_for(&woken, &wakes), |_, _| all());
    let ready = ready.await;
    // An edited recording may name any.
    let is_there = |at: &u32| usize::try_from(*at).is_ok_and(|at| at < handles.len());
    if ready.iter().all(is_there) { Ok(ready) } else { Err(misuse("the recording has more ready than was polled")) }
}

async fn wait_for(woken: &Notify, wakes: &[Wake]) -> Vec<u32> {
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

async fn wait_for_body<T: View>(store: &mut Store<'_, T>, handle: u32) -> wasmtime::Result<()> {
    let wasi = store.data_mut().wasi();
    if wasi.tape.is_replaying() {
        // What came of it is on the tape.
        return Ok(());
    }
    let (wake, woken) = (wasi.body_wake(handle)?, Arc::clone(&wasi.http.woken));
    wait_for(&woken, &[wake]).await;
    Ok(())
}

/// Reads from a stream, and waits for something to read where nothing is there yet.
async fn read<T: View>(mut store: Store<'_, T>, handle: u32, most: u64) -> wasmtime::Result<(Read,)> {
    if !http::is(handle) {
        return Ok((Err(StreamError::Closed),));
    }
    wait_for_body(&mut store, handle).await?;
    Ok((store.data_mut().wasi().read_body(handle, most)?,))
}

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut error = linker.instance(&versioned("io/error"))?;
    error.resource("error", ResourceType::host::<IoError>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    error.func_wrap("[method]error.to-debug-string", |mut store: Store<'_, T>, (this,): (Resource<IoError>,)| {
        Ok((store.data_mut().wasi().error_behind(this.rep())?.to_string(),))
    })?;

    let mut poll = linker.instance(&versioned("io/poll"))?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), |mut store, handle| {
        let wasi = store.data_mut().wasi();
        if let Some(place) = wasi.pollables.get_mut(usize::try_from(handle)?) {
            *place = None;
        }
        wasi.release();
        Ok(())
    })?;
    poll.func_wrap("[method]pollable.ready", |mut store: Store<'_, T>, (this,): (Resource<Pollable>,)| {
        Ok((store.data_mut().wasi().is_ready(this.rep())?,))
    })?;
    poll.func_wrap_async("[method]pollable.block", |store: Store<'_, T>, (this,): (Resource<Pollable>,)| {
        Box::new(async move { wait(store, &[this.rep()]).await.map(drop) })
    })?;
    poll.func_wrap_async("poll", |store: Store<'_, T>, (of,): (Vec<Resource<Pollable>>,)| {
        Box::new(async move {
            if of.is_empty() {
                return Err(misuse("it polled nothing"));
            }
            // It may name one of them again and again.
            if of.len() > MAX_HANDLES {
                return Err(misuse(format!("it polled more than {MAX_HANDLES} handles at once")));
            }
            let handles: Vec<u32> = of.iter().map(Resource::rep).collect();
            Ok((wait(store, &handles).await?,))
        })
    })?;
    streams(linker)
}

fn streams<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut streams = linker.instance(&versioned("io/streams"))?;
    let drop_stream = |mut store: Store<'_, T>, handle| {
        if http::is(handle) {
            return store.data_mut().wasi().drop_slot(handle);
        }
        store.data_mut().wasi().release();
        Ok(())
    };
    streams.resource("input-stream", ResourceType::host::<InputStream>(), drop_stream)?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), drop_stream)?;
    input(&mut streams)?;
    output(&mut streams)
}

fn input<T: View>(streams: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    let count = |read: Read| -> wasmtime::Result<Count> {
        Ok(match read {
            Ok(bytes) => Ok(u64::try_from(bytes.len())?),
            Err(error) => Err(error),
        })
    };
    streams.func_wrap(
        "[method]input-stream.read",
        |mut store: Store<'_, T>, (this, most): (Resource<InputStream>, u64)| -> wasmtime::Result<(Read,)> {
            if http::is(this.rep()) {
                return Ok((store.data_mut().wasi().read_body(this.rep(), most)?,));
            }
            Ok((Err(StreamError::Closed),))
        },
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-read",
        |store: Store<'_, T>, (this, most): (Resource<InputStream>, u64)| Box::new(read(store, this.rep(), most)),
    )?;
    streams.func_wrap(
        "[method]input-stream.skip",
        move |mut store: Store<'_, T>, (this, most): (Resource<InputStream>, u64)| -> wasmtime::Result<(Count,)> {
            if http::is(this.rep()) {
                return Ok((count(store.data_mut().wasi().read_body(this.rep(), most)?)?,));
            }
            Ok((Err(StreamError::Closed),))
        },
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-skip",
        move |store: Store<'_, T>, (this, most): (Resource<InputStream>, u64)| {
            Box::new(async move { Ok((count(read(store, this.rep(), most).await?.0)?,)) })
        },
    )?;
    streams.func_wrap("[method]input-stream.subscribe", |mut store: Store<'_, T>, (this,): (Resource<InputStream>,)| {
        let wasi = store.data_mut().wasi();
        let wake = if http::is(this.rep()) { wasi.body_wake(this.rep())? } else { Wake::Now };
        wasi.pollable(wake)
    })
}

fn output<T: View>(streams: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    streams.func_wrap("[method]output-stream.subscribe", |mut store: Store<'_, T>, _: (Resource<OutputStream>,)| {
        store.data_mut().wasi().pollable(Wake::Now)
    })?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        |_: Store<'_, T>, (this,): (Resource<OutputStream>,)| -> wasmtime::Result<(Count,)> {
            Ok((Ok(if http::is(this.rep()) { http::WRITE } else { WRITE }),))
        },
    )?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_, T>, (this, bytes): (Resource<OutputStream>, Vec<u8>)| -> wasmtime::Result<(Done,)> {
                if http::is(this.rep()) {
                    return Ok((store.data_mut().wasi().write_body(this.rep(), &bytes)?,));
                }
                cli::print(store.data_mut(), Channel::of(this.rep()), &bytes);
                Ok((Ok(()),))
            },
        )?;
    }
    for name in ["flush", "blocking-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |_: Store<'_, T>, _: (Resource<OutputStream>,)| -> wasmtime::Result<(Done,)> { Ok((Ok(()),)) },
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        // Zeroes are nothing that a log could show.
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut store: Store<'_, T>, (this, count): (Resource<OutputStream>, u64)| -> wasmtime::Result<(Done,)> {
                if http::is(this.rep()) {
                    return Ok((store.data_mut().wasi().write_zeroes(this.rep(), count)?,));
                }
                Ok((Ok(()),))
            },
        )?;
    }
    streams.func_wrap(
        "[method]output-stream.splice",
        |mut store: Store<'_, T>,
         (to, from, most): (Resource<OutputStream>, Resource<InputStream>, u64)|
         -> wasmtime::Result<(Count,)> { Ok((splice(store.data_mut().wasi(), to.rep(), from.rep(), most)?,)) },
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-splice",
        |mut store: Store<'_, T>, (to, from, most): (Resource<OutputStream>, Resource<InputStream>, u64)| {
            Box::new(async move {
                if http::is(from.rep()) {
                    wait_for_body(&mut store, from.rep()).await?;
                }
                Ok((splice(store.data_mut().wasi(), to.rep(), from.rep(), most)?,))
            })
        },
    )
}

/// Copies from one body to another; the console's streams are at their end.
fn splice(wasi: &mut Wasi, to: u32, from: u32, most: u64) -> wasmtime::Result<Count> {
    if http::is(to) && http::is(from) { wasi.splice(to, from, most) } else { Ok(Err(StreamError::Closed)) }
}
