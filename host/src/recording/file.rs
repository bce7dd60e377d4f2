//! A recording as a file: JSON, compressed by zstd.
//!
//! Before it: the recorder, or whoever hands a file over: what is read is hostile, and bounded before it is looked at. After it: a
//! [`Recording`] of which every number is within its bounds.

use std::{fs::File, io::Read as _, path::Path};

use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};
use serde::{Deserialize, de::IgnoredAny};

use super::form::{FORMAT, Recording};
use crate::envelope::Context;

/// Bytes of a file that is read. What is recorded of one request is bounded far below.
pub const MAX_FILE: u64 = 64 << 20;

/// Bytes of what comes out of it.
pub const MAX_TEXT: u64 = 128 << 20;

/// Calls of imports in one recording.
const MAX_CALLS: usize = 1_000_000;

/// The longest that a handler may be given, as in a manifest, by the clock and of CPU time: a day.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// The largest memory that a handler may be given.
const MAX_MEMORY: u64 = 4 << 30;

/// Bytes of the larger texts: the bound of the settings.
const MAX_MESSAGE: u64 = 1 << 30;

/// Letters of an id.
const MAX_ID: usize = 64;

/// Why a file is no recording. `Display` names what is wrong; who reads names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// Too large.
    #[error("has more than {MAX_FILE} bytes, which no recording has")]
    Large,
    /// Not zstd, or it ends too early.
    #[error("is damaged or cut off, or no recording: {0}")]
    Damaged(String),
    /// Too large once decompressed.
    #[error("has more than {MAX_TEXT} bytes decompressed, which no recording has")]
    Bomb,
    /// Of another version.
    #[error("has format {0}, and this host reads {FORMAT}: replay it with the version of nova-host that wrote it")]
    Format(u64),
    /// Not what a recording is.
    #[error("is no recording: {0}")]
    Wrong(String),
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// The handler's name.
    pub handler: String,
    /// The method.
    pub method: String,
    /// Whether the guest has answered: with a result, with an exception, or by leaving it to others.
    pub is_answered: bool,
}

/// The part of a recording that says so.
#[derive(Deserialize)]
struct Cover {
    handler: Handler,
    request: Request,
    ended: Ending,
}

#[derive(Deserialize)]
struct Handler {
    name: String,
}

#[derive(Deserialize)]
struct Request {
    method: String,
}

/// The kinds of [`Ended`](super::form::Ended).
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Replied(IgnoredAny),
    Failed(IgnoredAny),
    Declined,
    Faulted(IgnoredAny),
}

/// Writes one.
#[must_use]
pub fn encode(recording: &Recording) -> Vec<u8> {
    let text = serde_json::to_vec(recording).unwrap_or_default();
    compress_to_vec(text.as_slice(), CompressionLevel::Fastest)
}

/// Reads a file.
///
/// # Errors
///
/// [`Error`].
pub fn read(path: &Path) -> Result<Recording, Error> {
    text(path).and_then(|text| parse(&text))
}

/// Reads what a file is of. What else is in it is not looked at.
///
/// # Errors
///
/// [`Error`].
pub fn title(path: &Path) -> Result<Title, Error> {
    let text = text(path)?;
    let Head { format } = serde_json::from_str(&text).map_err(wrong)?;
    if format != u64::from(FORMAT) {
        return Err(Error::Format(format));
    }
    let Cover { handler, request, ended } = serde_json::from_str(&text).map_err(wrong)?;
    let is_answered = match ended {
        Ending::Replied(_) | Ending::Failed(_) | Ending::Declined => true,
        Ending::Faulted(_) => false,
    };
    Ok(Title { handler: handler.name, method: request.method, is_answered })
}

/// The JSON in a file.
///
/// # Errors
///
/// [`Error`].
pub fn text(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(Error::Read)?;
    if !file.metadata().map_err(Error::Read)?.is_file() {
        return Err(Error::Wrong("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
    unpack(&bytes)
}

/// Decompresses what a file holds.
fn unpack(bytes: &[u8]) -> Result<String, Error> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(Error::Large);
    }
    let damaged = |error: String| Error::Damaged(crate::printable::printable(&error, 200));
    if bytes.is_empty() {
        return Err(damaged("it is empty".to_owned()));
    }
    let decoder = StreamingDecoder::new(bytes).map_err(|_| damaged("it does not begin as zstd does".to_owned()))?;
    let mut text = Vec::new();
    decoder.take(MAX_TEXT + 1).read_to_end(&mut text).map_err(|error| damaged(error.to_string()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_TEXT {
        return Err(Error::Bomb);
    }
    String::from_utf8(text).map_err(|error| damaged(error.to_string()))
}

/// Reads what was decompressed.
///
/// # Errors
///
/// [`Error::Format`] and [`Error::Wrong`].
pub fn parse(text: &str) -> Result<Recording, Error> {
    let Head { format } = serde_json::from_str(text).map_err(wrong)?;
    if format != u64::from(FORMAT) {
        return Err(Error::Format(format));
    }
    let recording: Recording = serde_json::from_str(text).map_err(wrong)?;
    check(&recording).map_err(Error::Wrong)?;
    Ok(recording)
}

fn wrong(error: serde_json::Error) -> Error {
    Error::Wrong(crate::printable::printable(&error.to_string(), 300))
}

/// Holds what is in it against what the host itself would have written.
fn check(recording: &Recording) -> Result<(), String> {
    let Recording { id, handler, request, limits, calls, .. } = recording;
    let within = |what: &str, number: u64, least: u64, most: u64| match number {
        number if (least..=most).contains(&number) => Ok(()),
        _ => Err(format!("{what} is {number}, and is from {least} to {most}")),
    };
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("id is 1 to 64 letters, digits and dashes".to_owned());
    }
    if handler.digest.len() != 64 || !handler.digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("handler.digest is 64 hexadecimal digits".to_owned());
    }
    within("limits.timeout_ms", limits.timeout_ms, 1, MAX_TIMEOUT_MS)?;
    within("limits.cpu_us", limits.cpu_us.unwrap_or(1), 1, MAX_TIMEOUT_MS * 1000)?;
    within("limits.memory", limits.memory, 64 << 10, MAX_MEMORY)?;
    within("limits.tables", limits.tables.into(), 0, 400_000)?;
    within("limits.instances", limits.instances.into(), 1, 64)?;
    within("limits.stack", limits.stack, 64 << 10, 16 << 20)?;
    within("limits.arguments", limits.arguments, 1, MAX_MESSAGE)?;
    within("limits.result", limits.result, 1, MAX_MESSAGE)?;
    within("limits.log", limits.log, 0, MAX_MESSAGE)?;
    if calls.len() > MAX_CALLS {
        return Err(format!("it has {} calls, more than {MAX_CALLS}", calls.len()));
    }
    for (what, text) in [("request.arguments", &request.arguments), ("request.context", &request.context)] {
        if !text.get().starts_with('{') {
            return Err(format!("{what} is no JSON object"));
        }
    }
    if let Err(error) = Context::from_json(request.context.get()) {
        return Err(format!("request.context is none that a host would have taken: {error}"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
