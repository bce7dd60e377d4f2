//! Bytes ↔ [`Request`], [`Reply`] and [`Failure`]: oslo.messaging's envelope, version 2.0.
//!
//! Before it: [`crate::serve`] has a delivery. After it: [`crate::dispatch`] gets the request, and [`crate::reply`]
//! comes back with what to tell the caller. Everything here is pure and total: no IO, no clock, no randomness, no
//! panic, whatever the bytes are.
//!
//! A message is JSON in JSON: an outer object whose `oslo.message` is a string that holds the inner object.

pub mod failure;
mod json;
mod lenient;
pub mod reply;
pub mod request;
mod typed;

pub use failure::Failure;
pub use json::{Text, to_text};
pub use reply::{Answer, Monitor, Reply, ReplyTo, Style};
pub use request::{Arguments, Context, Field, Request};

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{compression, printable::printable, version::Version};

use lenient::Half;

/// The version that is sent.
const VERSION: &str = "2.0";

/// What [`VERSION`] is compared with on receipt.
const IMPLEMENTED: Version = Version::new(2, 0, 0);

/// The only content type that the reference decodes as JSON.
pub const CONTENT_TYPE: &str = "application/json";

/// The largest body that is decoded, as sent and decompressed: 64 MiB. RabbitMQ's own default limit for a message is
/// 128 MiB; a larger request than this does not fit a handler's memory either.
pub const MAX_BODY: usize = 64 << 20;

/// Why bytes are not a message. Nobody can be answered, since the reply queue is in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body is larger than [`MAX_BODY`].
    #[error("the body has {0} bytes, more than the {MAX_BODY} that are decoded")]
    TooLarge(usize),
    /// The body is larger than [`MAX_BODY`] when it is decompressed; how large is not found out.
    #[error("the body has {0} bytes and more than {MAX_BODY} when it is decompressed")]
    Bomb(usize),
    /// Not `application/json`.
    #[error("the content type is {0:?}, not application/json")]
    ContentType(Option<String>),
    /// Its header says that it is compressed, and neither is it so nor a message as it is.
    #[error("the body is marked as compressed with {0:?}: {1}")]
    Compression(String, compression::Error),
    /// Not a JSON object in UTF-8.
    #[error("the {part} is not a JSON object: {reason}")]
    Json {
        /// `body`, `oslo.message` or `failure`.
        part: &'static str,
        /// Where and why; never the content, which may hold secrets.
        reason: String,
    },
    /// A typed value, without an envelope, that kombu would not decode.
    #[error("{0}")]
    Typed(&'static str),
    /// A reply, where a request was expected.
    #[error("it is a reply and no request")]
    NotARequest,
    /// A reply that belongs to no call.
    #[error("the reply has no _msg_id")]
    NoMessageId,
    /// An envelope of another version.
    #[error("the envelope's version is {0}, which 2.0 does not cover")]
    Version(String),
}

/// The outer object, as sent.
#[derive(Serialize)]
struct Outgoing<'a> {
    #[serde(rename = "oslo.version")]
    version: &'a str,
    #[serde(rename = "oslo.message")]
    message: &'a str,
}

/// The outer object, as received; the last of duplicate keys wins, as in Python. Borrowed, for the message may be large.
#[derive(Default)]
struct Incoming<'a> {
    version: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Incoming<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Incoming<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Incoming<'de>, A::Error> {
                let mut incoming = Incoming::default();
                while let Some(Name(key)) = map.next_key()? {
                    let value = map.next_value()?;
                    match &*key {
                        "oslo.version" => incoming.version = Some(value),
                        "oslo.message" => incoming.message = Some(value),
                        _ => {}
                    }
                }
                Ok(incoming)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// The key of an object. Python's may hold half a surrogate pair, which is replaced.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let literal = <&RawValue>::deserialize(deserializer)?;
        let name = lenient::string(literal.get(), Half::Replaced);
        name.map(Self).ok_or_else(|| serde::de::Error::custom("a key is not a string"))
    }
}

/// Decompresses, takes the envelope off and decodes what is inside.
fn open<T: DeserializeOwned>(body: &[u8], content_type: Option<&str>, compression: Option<&str>) -> Result<T, Error> {
    if body.len() > MAX_BODY {
        return Err(Error::TooLarge(body.len()));
    }
    let Some(header) = compression.filter(|header| !header.is_empty()) else {
        return open_plain(body, content_type);
    };
    match compression::decompress(header, body, MAX_BODY) {
        Ok(body) => open_plain(&body, content_type),
        Err(compression::Error::TooLarge(_)) => Err(Error::Bomb(body.len())),
        // The reference takes a body that does not decompress as it is, and so may find a message.
        Err(error) => open_plain(body, content_type).map_err(|_| Error::Compression(shorten(header), error)),
    }
}

fn open_plain<T: DeserializeOwned>(body: &[u8], content_type: Option<&str>) -> Result<T, Error> {
    if body.is_empty() {
        // The reference takes it for a message without any key.
        return parse("{}", "body");
    }
    if content_type != Some(CONTENT_TYPE) {
        return Err(Error::ContentType(content_type.map(shorten)));
    }
    let text = std::str::from_utf8(body).map_err(|error| Error::Json { part: "body", reason: error.to_string() })?;
    let mut room = String::new();
    let Incoming { version: Some(version), message: Some(message) } = parse_in(text, &mut room, "body")? else {
        let json = lenient::from_python(text).map_or(Cow::Borrowed(text), Cow::Owned);
        return parse(&typed::resolve(&json).map_err(Error::Typed)?, "body");
    };
    let wrong = || Error::Version(shorten(version.get()));
    let version: String = serde_json::from_str(version.get()).map_err(|_| wrong())?;
    if !IMPLEMENTED.serves(&version).unwrap_or(false) {
        return Err(wrong());
    }
    let message = lenient::string(message.get(), Half::Escaped)
        .ok_or_else(|| Error::Json { part: "oslo.message", reason: "it is not a string".to_owned() })?;
    parse(&message, "oslo.message")
}

/// Puts the envelope on.
fn seal(message: &impl Serialize) -> Vec<u8> {
    to_text(&Outgoing { version: VERSION, message: &to_text(message) }).into_bytes()
}

/// Reads JSON, and what only Python takes for JSON.
fn parse<T: DeserializeOwned>(text: &str, part: &'static str) -> Result<T, Error> {
    parse_in(text, &mut String::new(), part)
}

/// The same for what borrows from the text, or from `room`, where there is JSON that had to be made of it.
fn parse_in<'a, T: Deserialize<'a>>(text: &'a str, room: &'a mut String, part: &'static str) -> Result<T, Error> {
    let wrong = |error: serde_json::Error| Error::Json { part, reason: error.to_string() };
    serde_json::from_str(text).or_else(|error| match lenient::from_python(text) {
        Some(json) => {
            *room = json;
            serde_json::from_str(room).map_err(wrong)
        }
        None => Err(wrong(error)),
    })
}

/// What others sent, for an error message.
fn shorten(text: &str) -> String {
    printable(text, 100)
}

#[cfg(test)]
mod golden_tests;
