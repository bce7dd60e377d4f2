//! `wasi:http`, the half of who asks: `outgoing-handler`, and of `types` what it takes.
//!
//! Before it: a component whose manifest has `grants.http`. After it: the session of the request, which judges and
//! sends. A body is kept until the guest has finished it; a response is read as the guest reads it. What serves requests
//! is linked, for some languages import all of `types`, and ends the guest.

mod codes;
mod fields;
mod requests;
mod responses;
mod streams;
mod table;

use wasmtime::{
    StoreContextMut,
    component::{Linker, LinkerInstance, Resource, ResourceType},
};

use super::{View, handles::IoError, misuse, versioned};
use codes::ErrorCode;

pub(super) use streams::{WRITE, is};
pub(super) use table::{Awaited, Table};
use table::{Draft, Outgoing, Slot};

/// The resources that there are, as types; what is behind each is a [`Slot`].
struct FieldsHandle;
struct OutgoingRequest;
struct OutgoingBody;
struct RequestOptions;
struct FutureIncomingResponse;
struct IncomingResponse;
struct IncomingBody;
struct FutureTrailers;

/// Those of the other half, of which there are none.
struct Nothing;

const OTHER_RESOURCES: [&str; 3] = ["incoming-request", "response-outparam", "outgoing-response"];

const OTHER_FUNCTIONS: [&str; 13] = [
    "[method]incoming-request.method",
    "[method]incoming-request.path-with-query",
    "[method]incoming-request.scheme",
    "[method]incoming-request.authority",
    "[method]incoming-request.headers",
    "[method]incoming-request.consume",
    "[static]response-outparam.set",
    "[method]response-outparam.send-informational",
    "[constructor]outgoing-response",
    "[method]outgoing-response.status-code",
    "[method]outgoing-response.set-status-code",
    "[method]outgoing-response.headers",
    "[method]outgoing-response.body",
];

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut types = linker.instance(&versioned("http/types"))?;
    fields::add_to_linker(&mut types)?;
    requests::add_to_linker(&mut types)?;
    responses::add_to_linker(&mut types)?;
    the_other_half(&mut types)?;
    types.func_wrap("http-error-code", |mut store: StoreContextMut<'_, T>, (error,): (Resource<IoError>,)| {
        Ok((Some(ErrorCode::from(store.data_mut().wasi().error_behind(error.rep())?)),))
    })?;
    let mut handler = linker.instance(&versioned("http/outgoing-handler"))?;
    requests::add_handler_to_linker(&mut handler)
}

fn the_other_half<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    for name in OTHER_RESOURCES {
        types.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
    }
    for name in OTHER_FUNCTIONS {
        types.func_new(name, move |_, _, _, _| Err(misuse(format!("it called {name}: nobody asks it over HTTP"))))?;
    }
    Ok(())
}
