//! Copies of messages, and what is known of a message besides its bytes: where it came from, how often it came.
//!
//! Before it: a broker, [`super::memory`] or [`super::rabbit`], hands a message over. After it: [`crate::serve`] may
//! send a copy on: to the end of its own queue with its attempts counted ([`again`]), or to a dead-letter exchange.

use std::collections::BTreeMap;

use super::{Destination, Message};

/// The header that counts attempts where the queue does not: those before this copy.
pub const ATTEMPTS: &str = "x-nova-host-attempts";

/// The header with the exchange that the original of a copy was published to.
pub const EXCHANGE: &str = "x-nova-host-exchange";

/// The header with the routing key that the original of a copy was published with.
pub const ROUTING_KEY: &str = "x-nova-host-routing-key";

/// Headers that a copy must not have from its original: ours, and those with which RabbitMQ would send it to further
/// queues or which it sets itself.
pub(super) const NOT_COPIED: [&str; 7] =
    [ATTEMPTS, EXCHANGE, ROUTING_KEY, "CC", "BCC", "x-delivery-count", "x-acquired-count"];

/// A header's value, as far as anybody here reads or writes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

/// Headers by their names.
pub type Headers = BTreeMap<String, Header>;

/// Where a message was published, and where it waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The exchange; empty for the default one. Of a copy of ours, the original's.
    pub exchange: String,
    /// The routing key. Of a copy of ours, the original's.
    pub routing_key: String,
    /// The queue that delivered it.
    pub queue: String,
}

/// How often a message was delivered before. Each of these may have been an attempt to handle it, or have ended before
/// one began: nobody can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Deliveries before this one.
    pub earlier: u32,
    /// Whether the last of them is forgotten should this one fail too: the queue does not count, and only its flag
    /// `redelivered` speaks of it. [`again`] makes a copy that remembers.
    pub forgettable: bool,
}

/// A copy of a message, to be sent.
#[derive(Clone, Debug)]
pub struct Copy<'a> {
    /// What is copied: body, content type and encoding, headers, and what else it carries.
    pub message: &'a Message,
    /// Where it goes. To go nowhere is an error.
    pub destination: Destination,
    /// Headers that are added.
    pub headers: Headers,
    /// Whether it expires as its original did.
    pub lifetime: Lifetime,
}

/// How long a copy may wait in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as its original, counted anew.
    Same,
    /// For ever.
    Unbounded,
}

/// The copy that replaces a message whose queue does not count deliveries: at the end of the same queue, with the
/// attempts so far in a header.
#[must_use]
pub fn again(message: &Message) -> Copy<'_> {
    let text = |text: &str| Header::Text(text.to_owned());
    let headers = [
        (ATTEMPTS, Header::Number(message.attempts.earlier.into())),
        (EXCHANGE, text(&message.origin.exchange)),
        (ROUTING_KEY, text(&message.origin.routing_key)),
    ];
    Copy {
        message,
        destination: Destination::Queue(message.origin.queue.clone()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        lifetime: Lifetime::Same,
    }
}

impl Message {
    /// Notes where the message came from and how often, from what the broker says and what a copy of ours carries.
    /// `counted` is the queue's own count of earlier deliveries, where it has one.
    pub(super) fn note_arrival(&mut self, origin: Origin, counted: Option<u32>) {
        let own = match self.headers.get(ATTEMPTS) {
            Some(Header::Number(number)) => u32::try_from((*number).max(0)).unwrap_or(u32::MAX),
            Some(Header::Text(_)) | None => 0,
        };
        let unnoted = counted.unwrap_or_else(|| u32::from(self.redelivered));
        self.attempts =
            Attempts { earlier: own.saturating_add(unnoted), forgettable: counted.is_none() && self.redelivered };
        let original = |name: &str, published: String| match self.headers.get(name) {
            Some(Header::Text(text)) => text.clone(),
            Some(Header::Number(_)) | None => published,
        };
        self.origin = Origin {
            exchange: original(EXCHANGE, origin.exchange),
            routing_key: original(ROUTING_KEY, origin.routing_key),
            queue: origin.queue,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(headers: &[(&str, Header)], redelivered: bool, counted: Option<u32>) -> Message {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut message = Message { headers, redelivered, ..Message::default() };
        let origin = Origin { exchange: "nova".into(), routing_key: "t".into(), queue: "q".into() };
        message.note_arrival(origin, counted);
        message
    }

    fn attempts(headers: &[(&str, Header)], redelivered: bool, counted: Option<u32>) -> (u32, bool) {
        let Attempts { earlier, forgettable } = arrived(headers, redelivered, counted).attempts;
        (earlier, forgettable)
    }

    #[test]
    fn attempts_are_the_queues_count_or_else_ours_and_the_flag() {
        let seven = [(ATTEMPTS, Header::Number(7))];
        assert_eq!(attempts(&[], false, None), (0, false));
        assert_eq!(attempts(&[], true, None), (1, true));
        assert_eq!(attempts(&seven, false, None), (7, false));
        assert_eq!(attempts(&seven, true, None), (8, true));
        // A queue that counts may say that a delivery was no attempt: given back.
        assert_eq!(attempts(&[], true, Some(0)), (0, false));
        assert_eq!(attempts(&[], true, Some(3)), (3, false));
        assert_eq!(attempts(&seven, true, Some(3)), (10, false));
    }

    #[test]
    fn a_count_that_makes_no_sense_is_harmless() {
        for (wrong, earlier) in
            [(Header::Number(-5), 0), (Header::Number(i64::MAX), u32::MAX), (Header::Text("many".into()), 0)]
        {
            assert_eq!(attempts(&[(ATTEMPTS, wrong)], false, None).0, earlier);
        }
        assert_eq!(attempts(&[(ATTEMPTS, Header::Number(i64::MAX))], true, None).0, u32::MAX);
    }

    #[test]
    fn a_copy_of_a_copy_knows_the_original() {
        let first = arrived(&[], true, None);
        let copy = again(&first);
        assert_eq!(copy.destination, Destination::Queue("q".into()));
        let mut second = Message { headers: copy.headers.clone(), redelivered: true, ..Message::default() };
        second.note_arrival(Origin { exchange: String::new(), routing_key: "q".into(), queue: "q".into() }, None);
        assert_eq!((second.attempts.earlier, &second.origin), (2, &first.origin));
    }
}
