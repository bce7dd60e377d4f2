//! The host's own functions, as a component sees them.

pub(crate) use crate::bindings::nova::rpc::{
    log::panicking,
    request_info::{context, context_entry, decline, reply_wanted, time_left_ms},
};
use crate::{
    Failure,
    bindings::nova::rpc::{client, keyvalue, log as host, types},
    log::Level,
    rpc::{Error, Request},
};

/// Writes one line to the host's log.
pub(crate) fn write(level: Level, message: &str) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::write(level, message);
}

/// Calls, and waits for the result's JSON.
pub(crate) fn call(request: Request) -> Result<String, Error> {
    client::call(&lower(request)).map_err(lift)
}

/// Calls all at once.
pub(crate) fn call_many(requests: Vec<Request>) -> Vec<Result<String, Error>> {
    let requests: Vec<_> = requests.into_iter().map(lower).collect();
    client::call_many(&requests).into_iter().map(|result| result.map_err(lift)).collect()
}

/// Casts, or fans out where the request says so.
pub(crate) fn cast(request: Request) -> Result<(), Error> {
    let fanout = request.fanout;
    let request = lower(request);
    if fanout { client::fanout(&request) } else { client::cast(&request) }.map_err(lift)
}

fn lower(request: Request) -> client::Request {
    let Request { target, method, arguments, fanout: _ } = request;
    let crate::rpc::Target { broker, topic, server, namespace, version, timeout, monitor } = target;
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    client::Request {
        target: client::Target { broker, topic, server, namespace, version },
        method,
        arguments,
        timeout_ms: timeout.map(milliseconds),
        monitor_ms: monitor.map(milliseconds),
    }
}

fn lift(error: client::Error) -> Error {
    match error {
        client::Error::Remote(failure) => Error::Remote(remote(failure)),
        client::Error::TimedOut(text) => Error::TimedOut(text),
        client::Error::Unavailable(text) => Error::Unavailable(text),
        client::Error::Denied(text) => Error::Denied(text),
        client::Error::Limited(text) => Error::Limited(text),
        client::Error::Invalid(text) => Error::Invalid(text),
    }
}

/// What another service said. Its JSON is the host's, and so is JSON.
fn remote(failure: types::Failure) -> Failure {
    let types::Failure { class, module, message, args, kwargs, traceback } = failure;
    let args = serde_json::from_str(&args).unwrap_or_default();
    let kwargs = serde_json::from_str(&kwargs).unwrap_or_default();
    Failure::remote(class, module, message, args, kwargs, traceback)
}

/// One value of the manifest's section `config`.
pub(crate) fn config(name: &str) -> Option<String> {
    // The host has read them all before: there is no error.
    crate::bindings::nova::rpc::config::get(name).ok().flatten()
}

/// All values of the section.
pub(crate) fn config_all() -> Vec<(String, String)> {
    crate::bindings::nova::rpc::config::get_all().unwrap_or_default()
}

/// Whether the handler's state has a value.
pub(crate) fn state_exists(key: &str) -> Result<bool, String> {
    keyvalue::exists(key).map_err(trouble)
}

/// A value of the handler's state.
pub(crate) fn state_get(key: &str) -> Result<Option<Vec<u8>>, String> {
    keyvalue::get(key).map_err(trouble)
}

/// Sets a value, or takes it away.
pub(crate) fn state_set(key: &str, value: Option<&[u8]>, time: Option<std::time::Duration>) -> Result<(), String> {
    let milliseconds = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    match value {
        Some(value) => keyvalue::set(key, value, milliseconds),
        None => keyvalue::delete(key),
    }
    .map_err(trouble)
}

/// Adds to a number.
pub(crate) fn state_increment(key: &str, delta: i64) -> Result<i64, String> {
    keyvalue::increment(key, delta).map_err(trouble)
}

/// Exchanges a value.
pub(crate) fn state_swap(key: &str, current: Option<&[u8]>, next: Option<&[u8]>) -> Result<bool, String> {
    keyvalue::swap(key, current, next).map_err(trouble)
}

/// Some keys, and where to go on.
pub(crate) fn state_keys(cursor: Option<String>) -> Result<(Vec<String>, Option<String>), String> {
    keyvalue::list_keys(cursor.as_deref()).map(|response| (response.keys, response.cursor)).map_err(trouble)
}

fn trouble(error: keyvalue::Error) -> String {
    match error {
        keyvalue::Error::NoSuchStore => "there is no store: it is not granted, or there is no request".to_owned(),
        keyvalue::Error::AccessDenied => "access denied".to_owned(),
        keyvalue::Error::Other(text) => text,
    }
}

/// Fills a buffer with the kernel's randomness.
pub(crate) fn random(buffer: &mut [u8]) {
    let drawn = crate::bindings::random::wasi::random::random::get_random_bytes(buffer.len() as u64);
    for (place, byte) in buffer.iter_mut().zip(drawn) {
        *place = byte;
    }
}
