//! What a connection is made of: sockets, TLS, frames, names, declarations, and the broker's words for what went wrong.
//!
//! Before it: [`super::Client`]. After it: the broker. [`super::consume`] and [`super::publish`] work on the links that
//! are made here.

pub(crate) mod backoff;
pub(crate) mod connect;
pub(crate) mod declare;
pub(crate) mod depth;
pub(crate) mod failure;
mod frames;
pub(crate) mod link;
pub(crate) mod look;
pub(crate) mod properties;
pub(crate) mod shown;
pub(crate) mod size;
mod stream;
pub(crate) mod task;
pub(crate) mod tls;
