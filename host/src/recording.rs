//! Recordings of requests: what a handler was asked, all that it was told, and what it did.
//!
//! Before it: [`crate::sandbox`] tapes what passes at a guest's imports where [`crate::serve`] asks for it. [`keeper`] decides
//! which requests are taped and which of those are kept, as [`config`] says; a thread of its own then takes out what is secret
//! ([`redact`]), writes ([`file`]) and makes room ([`ring`]). After it: [`crate::replay`] runs a recording again.

mod blob;
mod config;
pub mod file;
mod form;
mod keeper;
pub mod latest;
mod redact;
mod ring;
mod text;

pub use blob::Blob;
pub use config::Config;
#[cfg(test)]
pub(crate) use form::sample;
pub use form::{Asked, Bounds, Call, Component, Cost, Ended, FORMAT, Given, Recording};
pub use keeper::{Begun, Draft, Keeper, StartError, whole};
pub use redact::{Names, is_like};
pub use ring::{Listed, find, list};
