//! The service's log.
//!
//! The host adds the handler, its version and the request to every line; do not repeat them, and never write a secret.
//! `nova_guest::log::info(format!("scheduled {count} instances"));`

use serde::{Deserialize, Serialize};

use crate::imports;

/// How urgent a line is. The host's configuration decides which are kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a mistake.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is wrong, and was worked around.
    Warn,
    /// Something did not work.
    Error,
}

/// Writes one line.
pub fn write(level: Level, message: impl AsRef<str>) {
    imports::write(level, message.as_ref());
}

/// Writes one line at [`Level::Trace`].
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message);
}

/// Writes one line at [`Level::Debug`].
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

/// Writes one line at [`Level::Info`].
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

/// Writes one line at [`Level::Warn`].
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

/// Writes one line at [`Level::Error`].
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}
