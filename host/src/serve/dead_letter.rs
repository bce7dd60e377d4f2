//! Dead letters: what could not be handled, sent where somebody may look at it.
//!
//! Before it: [`super::work`] knows that nobody else was told. After it: the message is settled, by what became of its
//! dead letter.

use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::config::DeadLetters;
use crate::{
    envelope::Request,
    printable::printable,
    reply::Buried,
    transport::{Copy, Destination, Header, Headers, Lifetime, Message, Published, Transport},
};

/// The header with the time of death, RFC 3339 in UTC. A letter that has it and is sent again is a new request.
pub(super) const TIME: &str = "x-dead-time";

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
        }
    }
}

/// Sends a dead letter, across a lost connection if need be.
///
/// # Cancel safety
///
/// Dropped half-way, it may have been sent or not.
pub(super) async fn bury(
    transport: &Transport,
    to: &DeadLetters,
    message: &Message,
    particulars: &Particulars,
    death: Death<'_>,
) -> Buried {
    let routing_key = to.routing_key.as_ref().unwrap_or(&message.origin.routing_key).clone();
    let copy = Copy {
        message,
        destination: Destination::Exchange { exchange: to.exchange.clone(), routing_key },
        headers: headers(message, particulars, death),
        lifetime: Lifetime::Unbounded,
    };
    let reason = match transport.publish_copy(&copy).await {
        Ok(Published::Confirmed) => {
            tracing::info!(exchange = to.exchange, "sent to the dead-letter exchange");
            return Buried::Taken;
        }
        Ok(Published::Unroutable) => "no queue is bound to it for this routing key".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::error!(exchange = to.exchange, reason, "the dead-letter exchange does not take it");
    Buried::Refused
}

fn headers(message: &Message, particulars: &Particulars, death: Death<'_>) -> Headers {
    let text = |text: &str| Header::Text(printable(text, MAX_NAME));
    let mut headers = vec![
        ("x-dead-outcome", text(death.outcome)),
        ("x-dead-error", Header::Text(printable(&death.error, MAX_ERROR))),
        ("x-dead-attempts", Header::Number(death.attempts.into())),
        ("x-dead-exchange", text(&message.origin.exchange)),
        ("x-dead-routing-key", text(&message.origin.routing_key)),
        ("x-dead-queue", text(&message.origin.queue)),
        (TIME, Header::Text(now())),
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
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The time as the log writes it.
fn now() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    SystemTime.format_time(&mut Writer::new(&mut text)).ok();
    text
}
