//! Dead letters: what could not be handled, sent where somebody may look at it.
//!
//! Before it: [`super::work`] knows that nobody else was told. After it: the message is settled, by what became of its
//! dead letter.

use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::{config::DeadLetters, late::Letter};
use crate::{
    envelope::Request,
    printable::printable,
    transport::{Destination, Header, Lifetime, Message, copy},
};

/// The header with the time of death, RFC 3339 in UTC. A letter that has it and is sent again is a new request.
pub(super) const TIME: &str = "x-dead-time";

/// The header that counts how often a message was a dead letter.
const COUNT: &str = "x-dead-count";

/// So often a message may be a dead letter. Where the exchange leads back to the queue, it would be one for ever.
const MAX_DEATHS: u32 = 10;

/// Bytes of a name in a header.
const MAX_NAME: usize = 255;

/// Bytes of an error in a header.
const MAX_ERROR: usize = 1024;

/// What is known about a message that may die; nothing where dead letters go nowhere.
#[derive(Debug, Default)]
pub(super) struct Particulars {
    method: Option<String>,
    namespace: Option<String>,
    version: Option<String>,
    /// The handler that was found, and the digest of its code.
    pub(super) handler: Option<(String, String)>,
    /// The id of its recording, where there is one.
    pub(super) recording: Option<String>,
}

/// Why it died.
#[derive(Debug)]
pub(super) struct Death<'a> {
    /// The outcome, in a word.
    pub(super) outcome: &'a str,
    /// What was wrong.
    pub(super) error: String,
    /// How often it was tried.
    pub(super) attempts: u32,
}

impl Particulars {
    /// Of a request. Nothing of its context, and nothing of its arguments.
    pub(super) fn of(request: &Request) -> Self {
        let name = |text: &str| printable(text, MAX_NAME);
        Self {
            method: Some(name(&request.method.to_string())),
            namespace: request.namespace.text().map(name),
            version: request.version.text().map(name),
            handler: None,
            recording: None,
        }
    }
}

/// Makes the dead letter of a message; `Err` says why it gets none.
pub(super) fn letter(
    to: &DeadLetters,
    message: &Message,
    particulars: &Particulars,
    death: Death<'_>,
) -> Result<Letter, String> {
    let earlier = match message.headers.get(COUNT) {
        Some(Header::Number(number)) => u32::try_from((*number).max(0)).unwrap_or(u32::MAX),
        Some(Header::Text(_)) | None => 0,
    };
    if earlier >= MAX_DEATHS {
        return Err(format!("it has been a dead letter {earlier} times: does the exchange lead back to its queue?"));
    }
    let routing_key = to.routing_key.as_ref().unwrap_or(&message.origin.routing_key).clone();
    let destination = Destination::Exchange { exchange: to.exchange.clone(), routing_key };
    let headers = headers(message, particulars, death, earlier + 1);
    Ok(Letter::new(destination.clone(), [copy::of(message, destination, headers, Lifetime::Unbounded)]))
}

/// The headers that a letter has beside those of its message, the most important first: where there is not room for all,
/// the last are left out.
fn headers(message: &Message, particulars: &Particulars, death: Death<'_>, deaths: u32) -> Vec<(&'static str, Header)> {
    let text = |text: &str| Header::Text(printable(text, MAX_NAME));
    let mut headers = vec![
        (COUNT, Header::Number(deaths.into())),
        (TIME, Header::Text(now())),
        ("x-dead-outcome", text(death.outcome)),
        ("x-dead-attempts", Header::Number(death.attempts.into())),
        ("x-dead-exchange", text(&message.origin.exchange)),
        ("x-dead-routing-key", text(&message.origin.routing_key)),
        ("x-dead-queue", text(&message.origin.queue)),
        ("x-dead-error", Header::Text(printable(&death.error, MAX_ERROR))),
    ];
    let mut add = |name, value: Option<&String>| {
        if let Some(value) = value {
            headers.push((name, Header::Text(value.clone())));
        }
    };
    add("x-dead-method", particulars.method.as_ref());
    add("x-dead-namespace", particulars.namespace.as_ref());
    add("x-dead-version", particulars.version.as_ref());
    add("x-dead-handler", particulars.handler.as_ref().map(|(name, _)| name));
    add("x-dead-digest", particulars.handler.as_ref().map(|(_, digest)| digest));
    add("x-dead-recording", particulars.recording.as_ref());
    headers
}

/// The time as the log writes it.
fn now() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    SystemTime.format_time(&mut Writer::new(&mut text)).ok();
    text
}
