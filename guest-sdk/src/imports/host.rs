//! The host's own functions, as a component sees them.

pub(crate) use crate::bindings::nova::rpc::{
    log::panicking,
    request_info::{context, context_entry, reply_wanted, time_left_ms},
};
use crate::{bindings::nova::rpc::log as host, log::Level};

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
