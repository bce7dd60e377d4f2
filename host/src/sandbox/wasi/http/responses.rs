//! `future-incoming-response`, `incoming-response`, `incoming-body` and `future-trailers`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, Resource, ResourceType},
};

use super::{
    super::{
        View, Wasi,
        handles::{InputStream, Wake},
        misuse,
    },
    Awaited, FieldsHandle, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingResponse, Slot,
    codes::ErrorCode,
};
use crate::{
    capability::http::{Error, Fetch, Fields, Head, is_forbidden},
    recording::Blob,
    sandbox::tape::nothing,
};

type Store<'a, T> = StoreContextMut<'a, T>;

/// What a future has: nothing yet, or once a result.
type Got<T> = Option<Result<Result<T, ErrorCode>, ()>>;

/// The same as a tape has it.
#[derive(Serialize, Deserialize)]
enum Come<T> {
    NotYet,
    Taken,
    Here(Result<T, Error>),
}

/// Headers as a tape has them.
type Headers = Vec<(String, Blob)>;

/// A head as a tape has it.
#[derive(Serialize, Deserialize)]
struct Told {
    status: u16,
    headers: Headers,
}

impl Told {
    fn of(Head { status, headers }: Head) -> Self {
        Self { status, headers: blobs(headers) }
    }
}

fn blobs(fields: Fields) -> Headers {
    fields.into_iter().map(|(name, value)| (name, Blob(value))).collect()
}

fn plain(headers: Headers) -> Fields {
    headers.into_iter().map(|(name, Blob(value))| (name, value)).collect()
}

impl Wasi {
    /// What came of a request, once.
    fn response(&mut self, handle: u32) -> wasmtime::Result<Got<Resource<IncomingResponse>>> {
        let fetch = self.fetch(handle)?;
        let look = || match fetch.exchange().is_answered() {
            false => Come::NotYet,
            true => fetch.head().map_or(Come::Taken, |head| Come::Here(head.map(Told::of))),
        };
        let come = self.tape.asks("wasi:http/types.future-incoming-response.get", nothing, look)?;
        let Told { status, headers } = match come {
            Come::NotYet => return Ok(None),
            Come::Taken => return Ok(Some(Err(()))),
            Come::Here(Ok(head)) => head,
            Come::Here(Err(error)) => return Ok(Some(Ok(Err(error.into())))),
        };
        let mut headers = plain(headers);
        // They were the connection's, which is none of the guest's.
        headers.retain(|(name, _)| !is_forbidden(name));
        let response = Slot::Response { status, headers, fetch: Some(fetch) };
        Ok(Some(Ok(Ok(Resource::new_own(self.insert(response)?)))))
    }

    /// What comes behind a body, once.
    fn trailers(&mut self, handle: u32) -> wasmtime::Result<Got<Option<Resource<FieldsHandle>>>> {
        let tape = self.tape.clone();
        let come = self.with(handle, |slot| match slot {
            Slot::Trailers { is_taken: true, .. } => Ok(Come::Taken),
            Slot::Trailers { fetch, is_taken } => {
                let look = || match fetch.trailers() {
                    None => Come::NotYet,
                    Some(trailers) => Come::Here(trailers.map(|trailers| trailers.map(blobs))),
                };
                let come: Come<Option<Headers>> = tape.asks("wasi:http/types.future-trailers.get", nothing, look)?;
                *is_taken = matches!(come, Come::Here(_));
                Ok(come)
            }
            _ => Err(misuse(NONE)),
        })?;
        Ok(match come {
            Come::NotYet => None,
            Come::Taken => Some(Err(())),
            Come::Here(Err(error)) => Some(Ok(Err(error.into()))),
            Come::Here(Ok(None)) => Some(Ok(Ok(None))),
            Come::Here(Ok(Some(trailers))) => Some(Ok(Ok(Some(self.new_fields(plain(trailers), true)?)))),
        })
    }

    fn fetch(&mut self, handle: u32) -> wasmtime::Result<Arc<Fetch>> {
        self.with(handle, |slot| match slot {
            Slot::Future(fetch) | Slot::Incoming { fetch, .. } | Slot::Trailers { fetch, .. } => Ok(Arc::clone(fetch)),
            _ => Err(misuse(NONE)),
        })
    }
}

const NONE: &str = "it used a part of a response that is none";

pub(super) fn add_to_linker<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource(
        "future-incoming-response",
        ResourceType::host::<FutureIncomingResponse>(),
        |mut store, handle| store.data_mut().wasi().drop_slot(handle),
    )?;
    types.func_wrap(
        "[method]future-incoming-response.subscribe",
        |mut store: Store<'_, T>, (this,): (Resource<FutureIncomingResponse>,)| {
            let wasi = store.data_mut().wasi();
            let exchange = Arc::clone(wasi.fetch(this.rep())?.exchange());
            wasi.pollable(Wake::Http(Awaited::Head(exchange)))
        },
    )?;
    types.func_wrap(
        "[method]future-incoming-response.get",
        |mut store: Store<'_, T>, (this,): (Resource<FutureIncomingResponse>,)| {
            Ok((store.data_mut().wasi().response(this.rep())?,))
        },
    )?;

    types.resource("incoming-response", ResourceType::host::<IncomingResponse>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap(
        "[method]incoming-response.status",
        |mut store: Store<'_, T>, (this,): (Resource<IncomingResponse>,)| {
            store.data_mut().wasi().with(this.rep(), |slot| match slot {
                Slot::Response { status, .. } => Ok((*status,)),
                _ => Err(misuse(NONE)),
            })
        },
    )?;
    types.func_wrap(
        "[method]incoming-response.headers",
        |mut store: Store<'_, T>, (this,): (Resource<IncomingResponse>,)| {
            let headers = store.data_mut().wasi().with(this.rep(), |slot| match slot {
                Slot::Response { headers, .. } => Ok(headers.clone()),
                _ => Err(misuse(NONE)),
            })?;
            Ok((store.data_mut().wasi().new_fields(headers, true)?,))
        },
    )?;
    types.func_wrap(
        "[method]incoming-response.consume",
        |mut store: Store<'_, T>, (this,): (Resource<IncomingResponse>,)| {
            let wasi = store.data_mut().wasi();
            let fetch = wasi.with(this.rep(), |slot| match slot {
                Slot::Response { fetch, .. } => Ok(fetch.take()),
                _ => Err(misuse(NONE)),
            })?;
            let Some(fetch) = fetch else { return Ok((Err(()),)) };
            let handle = wasi.insert(Slot::Incoming { fetch, is_streamed: false })?;
            Ok((Ok(Resource::<IncomingBody>::new_own(handle)),))
        },
    )?;
    bodies(types)
}

fn bodies<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource("incoming-body", ResourceType::host::<IncomingBody>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap(
        "[method]incoming-body.stream",
        |mut store: Store<'_, T>, (this,): (Resource<IncomingBody>,)| {
            let wasi = store.data_mut().wasi();
            let fetch = wasi.with(this.rep(), |slot| match slot {
                Slot::Incoming { is_streamed: true, .. } => Ok(None),
                Slot::Incoming { fetch, is_streamed } => {
                    *is_streamed = true;
                    Ok(Some(Arc::clone(fetch)))
                }
                _ => Err(misuse(NONE)),
            })?;
            let Some(fetch) = fetch else { return Ok((Err(()),)) };
            let handle = wasi.insert(Slot::Input { fetch, has_failed: false })?;
            Ok((Ok(Resource::<InputStream>::new_own(handle)),))
        },
    )?;
    types.func_wrap(
        "[static]incoming-body.finish",
        |mut store: Store<'_, T>, (this,): (Resource<IncomingBody>,)| {
            let wasi = store.data_mut().wasi();
            let Slot::Incoming { fetch, .. } = wasi.remove(this.rep())? else { return Err(misuse(NONE)) };
            fetch.discard();
            let handle = wasi.insert(Slot::Trailers { fetch, is_taken: false })?;
            Ok((Resource::<FutureTrailers>::new_own(handle),))
        },
    )?;

    types.resource("future-trailers", ResourceType::host::<FutureTrailers>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap(
        "[method]future-trailers.subscribe",
        |mut store: Store<'_, T>, (this,): (Resource<FutureTrailers>,)| {
            let wasi = store.data_mut().wasi();
            let exchange = Arc::clone(wasi.fetch(this.rep())?.exchange());
            wasi.pollable(Wake::Http(Awaited::End(exchange)))
        },
    )?;
    types.func_wrap("[method]future-trailers.get", |mut store: Store<'_, T>, (this,): (Resource<FutureTrailers>,)| {
        Ok((store.data_mut().wasi().trailers(this.rep())?,))
    })
}
