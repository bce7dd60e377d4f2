//! `outgoing-request`, `outgoing-body`, `request-options`, and `outgoing-handler`.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, Resource, ResourceType},
};

use super::{
    super::{View, Wasi, handles::OutputStream, misuse},
    Draft, FieldsHandle, FutureIncomingResponse, Outgoing, OutgoingBody, OutgoingRequest, RequestOptions, Slot,
    codes::{ErrorCode, Method, Scheme},
    table::lock,
};
use crate::{
    capability::http::{Error, Fetch, Origin, Request, Timeouts, is_name, is_path},
    recording::Blob,
    sandbox::tape::text,
};

/// Bytes of a method: WebDAV's longest have 16.
const MAX_METHOD: usize = 64;

type Store<'a, T> = StoreContextMut<'a, T>;
type This = Resource<OutgoingRequest>;
type Set = Result<(), ()>;

/// One of the timeouts, to look at or to change.
type Timeout = fn(&mut Timeouts) -> &mut Option<Duration>;

impl Wasi {
    fn request<T>(&mut self, this: &This, look: impl FnOnce(&mut Outgoing) -> T) -> wasmtime::Result<T> {
        self.with(this.rep(), |slot| match slot {
            Slot::Request(request) => Ok(look(request)),
            _ => Err(misuse("it used a request that is none")),
        })
    }

    fn options<T>(&mut self, handle: u32, look: impl FnOnce(&mut Timeouts) -> T) -> wasmtime::Result<T> {
        self.with(handle, |slot| match slot {
            Slot::Options(timeouts) => Ok(look(timeouts)),
            _ => Err(misuse("it used request options that are none")),
        })
    }

    /// Gives out the body of a request, once.
    fn request_body(&mut self, this: &This) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        let (done, body) = oneshot::channel();
        let given = self.request(this, |request| {
            if request.body.is_some() {
                return None;
            }
            request.body = Some(body);
            let length = |(name, _): &&(String, Vec<u8>)| name.eq_ignore_ascii_case("content-length");
            Some(request.headers.iter().find(length).map(|(_, value)| value.clone()))
        })?;
        let Some(announced) = given else { return Ok(Err(())) };
        let draft = Draft { written: Arc::default(), is_streamed: false, done, announced };
        Ok(Ok(Resource::new_own(self.insert(Slot::Body(draft))?)))
    }

    /// Ends a body: what was written is sent.
    fn finish_body(
        &mut self,
        handle: u32,
        trailers: Option<&Resource<FieldsHandle>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        let Slot::Body(Draft { written, done, announced, .. }) = self.remove(handle)? else {
            return Err(misuse("it finished a body that is none"));
        };
        let trailers = trailers.map(|trailers| self.take_fields(trailers)).transpose()?;
        let mut written = lock(&written);
        // A body that was given up is never sent.
        let is_whole = !std::mem::replace(&mut written.is_over, true);
        let bytes = std::mem::take(&mut written.bytes);
        if trailers.is_some_and(|trailers| !trailers.is_empty()) {
            return Ok(Err(Error::Trailers.into()));
        }
        if !is_whole || announced.is_some_and(|announced| announced != bytes.len().to_string().as_bytes()) {
            return Ok(Err(ErrorCode::RequestBodySize(u64::try_from(bytes.len()).ok())));
        }
        let blob = || text(&Blob(bytes.clone()));
        self.tape.asks("wasi:http/types.outgoing-body.finish", blob, || ())?;
        // The request may have been given up.
        done.send(bytes).ok();
        Ok(Ok(()))
    }

    /// Sends a request, as far as it may be.
    fn send(
        &mut self,
        handle: u32,
        timeouts: Timeouts,
    ) -> wasmtime::Result<Result<Resource<FutureIncomingResponse>, ErrorCode>> {
        let Slot::Request(Outgoing { method, is_secure, authority, path, headers, body }) = self.remove(handle)? else {
            return Err(misuse("it sent a request that is none"));
        };
        let session = self.session.clone();
        if session.is_none() && !self.tape.is_replaying() {
            return Ok(Err(Error::Denied.into()));
        }
        let origin = authority.and_then(|authority| Origin::parse(is_secure.unwrap_or(true), &authority));
        let Some(origin) = origin else { return Ok(Err(Error::Uri.into())) };
        let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
        let body = body.unwrap_or_else(|| {
            let (done, body) = oneshot::channel();
            // Nothing, and at once.
            done.send(Vec::new()).ok();
            body
        });
        let request = Request { method, origin, path, headers };
        let asked = self.tape.is_on().then(|| {
            let Request { method, origin, path, headers } = &request;
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name, Blob(value.clone()))).collect();
            json!({ "method": method, "to": origin.to_string(), "path": path, "headers": headers })
        });
        let mut fetch = None;
        let fetched: Result<(), Error> = self.tape.asks(
            "wasi:http/outgoing-handler.handle",
            || text(&asked),
            || {
                let session = session.ok_or(Error::Denied)?;
                fetch = Some(session.fetch(request, body, timeouts, Arc::clone(&self.http.woken))?);
                Ok(())
            },
        )?;
        match fetched.map(|()| fetch.unwrap_or_else(Fetch::nowhere)) {
            Ok(fetch) => Ok(Ok(Resource::new_own(self.insert(Slot::Future(Arc::new(fetch)))?))),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

fn set<T>(place: &mut T, to: T) -> Set {
    *place = to;
    Ok(())
}

fn named(method: &str) -> Method {
    match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn name(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => return other,
    };
    name.to_owned()
}

pub(super) fn add_to_linker<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource("outgoing-request", ResourceType::host::<OutgoingRequest>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap(
        "[constructor]outgoing-request",
        |mut store: Store<'_, T>, (headers,): (Resource<FieldsHandle>,)| {
            let wasi = store.data_mut().wasi();
            let headers = wasi.take_fields(&headers)?;
            let method = "GET".to_owned();
            let request = Outgoing { method, is_secure: None, authority: None, path: None, headers, body: None };
            Ok((Resource::<OutgoingRequest>::new_own(wasi.insert(Slot::Request(request))?),))
        },
    )?;
    types.func_wrap("[method]outgoing-request.body", |mut store: Store<'_, T>, (this,): (This,)| {
        Ok((store.data_mut().wasi().request_body(&this)?,))
    })?;
    types.func_wrap("[method]outgoing-request.headers", |mut store: Store<'_, T>, (this,): (This,)| {
        let headers = store.data_mut().wasi().request(&this, |request| request.headers.clone())?;
        Ok((store.data_mut().wasi().new_fields(headers, true)?,))
    })?;
    types.func_wrap("[method]outgoing-request.method", |mut store: Store<'_, T>, (this,): (This,)| {
        Ok((store.data_mut().wasi().request(&this, |request| named(&request.method))?,))
    })?;
    types.func_wrap("[method]outgoing-request.set-method", |mut store: Store<'_, T>, (this, to): (This, Method)| {
        let method = name(to);
        if method.len() > MAX_METHOD || !is_name(&method) {
            return Ok((Set::Err(()),));
        }
        Ok((store.data_mut().wasi().request(&this, |request| set(&mut request.method, method))?,))
    })?;
    types.func_wrap("[method]outgoing-request.path-with-query", |mut store: Store<'_, T>, (this,): (This,)| {
        Ok((store.data_mut().wasi().request(&this, |request| request.path.clone())?,))
    })?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_, T>, (this, to): (This, Option<String>)| {
            if to.as_ref().is_some_and(|path| !path.is_empty() && !is_path(path)) {
                return Ok((Set::Err(()),));
            }
            Ok((store.data_mut().wasi().request(&this, |request| set(&mut request.path, to))?,))
        },
    )?;
    types.func_wrap("[method]outgoing-request.scheme", |mut store: Store<'_, T>, (this,): (This,)| {
        let scheme = |is_secure| if is_secure { Scheme::Https } else { Scheme::Http };
        Ok((store.data_mut().wasi().request(&this, |request| request.is_secure.map(scheme))?,))
    })?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut store: Store<'_, T>, (this, to): (This, Option<Scheme>)| {
            let is_secure = match to {
                None => None,
                Some(Scheme::Http) => Some(false),
                Some(Scheme::Https) => Some(true),
                Some(Scheme::Other(_)) => return Ok((Set::Err(()),)),
            };
            Ok((store.data_mut().wasi().request(&this, |request| set(&mut request.is_secure, is_secure))?,))
        },
    )?;
    types.func_wrap("[method]outgoing-request.authority", |mut store: Store<'_, T>, (this,): (This,)| {
        Ok((store.data_mut().wasi().request(&this, |request| request.authority.clone())?,))
    })?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_, T>, (this, to): (This, Option<String>)| {
            if to.as_ref().is_some_and(|authority| Origin::parse(true, authority).is_none()) {
                return Ok((Set::Err(()),));
            }
            Ok((store.data_mut().wasi().request(&this, |request| set(&mut request.authority, to))?,))
        },
    )?;
    bodies(types)?;
    options(types)
}

fn bodies<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource("outgoing-body", ResourceType::host::<OutgoingBody>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap("[method]outgoing-body.write", |mut store: Store<'_, T>, (this,): (Resource<OutgoingBody>,)| {
        let wasi = store.data_mut().wasi();
        let written = wasi.with(this.rep(), |slot| match slot {
            Slot::Body(Draft { is_streamed: true, .. }) => Ok(None),
            Slot::Body(Draft { written, is_streamed, .. }) => {
                *is_streamed = true;
                Ok(Some(Arc::clone(written)))
            }
            _ => Err(misuse("it wrote a body that is none")),
        })?;
        let stream = match written {
            Some(written) => Ok(Resource::<OutputStream>::new_own(wasi.insert(Slot::Output(written))?)),
            None => Err(()),
        };
        Ok((stream,))
    })?;
    types.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: Store<'_, T>, (this, trailers): (Resource<OutgoingBody>, Option<Resource<FieldsHandle>>)| {
            Ok((store.data_mut().wasi().finish_body(this.rep(), trailers.as_ref())?,))
        },
    )
}

fn options<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource("request-options", ResourceType::host::<RequestOptions>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap("[constructor]request-options", |mut store: Store<'_, T>, ()| {
        let handle = store.data_mut().wasi().insert(Slot::Options(Timeouts::default()))?;
        Ok((Resource::<RequestOptions>::new_own(handle),))
    })?;
    let each: [(&str, Timeout); 3] = [
        ("connect-timeout", |timeouts| &mut timeouts.connect),
        ("first-byte-timeout", |timeouts| &mut timeouts.first_byte),
        ("between-bytes-timeout", |timeouts| &mut timeouts.between_bytes),
    ];
    for (name, timeout) in each {
        types.func_wrap(
            &format!("[method]request-options.{name}"),
            move |mut store: Store<'_, T>, (this,): (Resource<RequestOptions>,)| {
                let duration = store.data_mut().wasi().options(this.rep(), |timeouts| *timeout(timeouts))?;
                Ok((duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),))
            },
        )?;
        types.func_wrap(
            &format!("[method]request-options.set-{name}"),
            move |mut store: Store<'_, T>, (this, to): (Resource<RequestOptions>, Option<u64>)| {
                let to = to.map(Duration::from_nanos);
                Ok((store.data_mut().wasi().options(this.rep(), |timeouts| set(timeout(timeouts), to))?,))
            },
        )?;
    }
    Ok(())
}

pub(super) fn add_handler_to_linker<T: View>(handler: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    handler.func_wrap(
        "handle",
        |mut store: Store<'_, T>, (request, options): (This, Option<Resource<RequestOptions>>)| {
            let wasi = store.data_mut().wasi();
            let timeouts = match options.map(|options| wasi.remove(options.rep())).transpose()? {
                Some(Slot::Options(timeouts)) => timeouts,
                _ => Timeouts::default(),
            };
            Ok((wasi.send(request.rep(), timeouts)?,))
        },
    )
}
