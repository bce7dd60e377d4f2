//! `future-incoming-response`, `incoming-response`, `incoming-body` and `future-trailers`.

use std::sync::Arc;

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
use crate::capability::http::{Fetch, Head, is_forbidden};

type Store<'a, T> = StoreContextMut<'a, T>;

/// What a future has: nothing yet, or once a result.
type Got<T> = Option<Result<Result<T, ErrorCode>, ()>>;

impl Wasi {
    /// What came of a request, once.
    fn response(&mut self, handle: u32) -> wasmtime::Result<Got<Resource<IncomingResponse>>> {
        let fetch = self.fetch(handle)?;
        if !fetch.exchange().is_answered() {
            return Ok(None);
        }
        let Some(head) = fetch.head() else { return Ok(Some(Err(()))) };
        let Head { status, mut headers } = match head {
            Ok(head) => head,
            Err(error) => return Ok(Some(Ok(Err(error.into())))),
        };
        // They were the connection's, which is none of the guest's.
        headers.retain(|(name, _)| !is_forbidden(name));
        let response = Slot::Response { status, headers, fetch: Some(fetch) };
        Ok(Some(Ok(Ok(Resource::new_own(self.insert(response)?)))))
    }

    /// What comes behind a body, once.
    fn trailers(&mut self, handle: u32) -> wasmtime::Result<Got<Option<Resource<FieldsHandle>>>> {
        let trailers = self.with(handle, |slot| match slot {
            Slot::Trailers { is_taken: true, .. } => Ok(Some(Err(()))),
            Slot::Trailers { fetch, is_taken } => {
                let trailers = fetch.trailers();
                *is_taken = trailers.is_some();
                Ok(trailers.map(Ok))
            }
            _ => Err(misuse(NONE)),
        })?;
        Ok(match trailers {
            None => None,
            Some(Err(())) => Some(Err(())),
            Some(Ok(Err(error))) => Some(Ok(Err(error.into()))),
            Some(Ok(Ok(None))) => Some(Ok(Ok(None))),
            Some(Ok(Ok(Some(trailers)))) => Some(Ok(Ok(Some(self.new_fields(trailers, true)?)))),
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
