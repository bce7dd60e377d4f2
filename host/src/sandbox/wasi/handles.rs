//! What `wasi:io`'s handles stand for, wherever they come from: the console, clocks, bodies of [`super::http`].
//!
//! Before it: [`super::cli`], [`super::clocks`] and [`super::http`] give them out. After it: [`super::io`] serves them.

use std::time::Instant;

use wasmtime::component::{ComponentType, Lift, Lower, Resource};

use super::http::Awaited;

/// `wasi:io/error`'s resource, with which only bodies of HTTP fail.
pub(super) struct IoError;

/// A stream that is at its end, or a body.
pub(super) struct InputStream;

/// A stream into the log, of which the handle is the [`Channel`](super::cli::Channel), or a body.
pub(super) struct OutputStream;

/// What can be waited for; the handle is the position in the instance's list.
pub(super) struct Pollable;

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

/// When something that is waited for comes.
#[derive(Clone, Debug)]
pub(super) enum Wake {
    Now,
    At(Instant),
    Never,
    Http(Awaited),
}

impl Wake {
    pub(super) fn is_past(&self, now: Instant) -> bool {
        match self {
            Self::Now => true,
            Self::At(at) => *at <= now,
            Self::Never => false,
            Self::Http(awaited) => awaited.is_here(),
        }
    }
}
