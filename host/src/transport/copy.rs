//! Copies of messages.
//!
//! Before it: [`crate::serve`] has a message that is to be sent on: to the end of its own queue with its attempts
//! counted ([`again`]), or to a dead-letter exchange. After it: the transport sends it as any other message.

use super::{
    destination::Destination,
    message::{ATTEMPTS, EXCHANGE, Header, Message, ROUTING_KEY},
    publication::{Company, Copied, Lifetime, Publication, Routing},
};

/// A copy of a message, with headers added; it must reach a queue.
#[must_use]
pub fn of(
    message: &Message,
    destination: Destination,
    added: Vec<(&'static str, Header)>,
    lifetime: Lifetime,
) -> Publication {
    Publication {
        destination,
        routing: Routing::Mandatory,
        expiration: None,
        body: message.body.clone(),
        headers: Vec::new(),
        copied: Some(Copied { carried: message.carried.clone(), original: message.headers.clone(), added, lifetime }),
        company: Company::Shared,
    }
}

/// The copy that replaces a message whose queue does not count deliveries: at the end of the same queue, with the
/// attempts so far in a header.
#[must_use]
pub fn again(message: &Message) -> Publication {
    let text = |text: &str| Header::Text(text.to_owned());
    let added = vec![
        (ATTEMPTS, Header::Number(message.attempts.earlier.into())),
        (EXCHANGE, text(&message.origin.exchange)),
        (ROUTING_KEY, text(&message.origin.routing_key)),
    ];
    of(message, Destination::Queue(message.origin.queue.clone()), added, Lifetime::Same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::message::{Attempts, Origin};

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
        let added = copy.copied.unwrap().added;
        let headers = added.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut second = Message { headers, redelivered: true, ..Message::default() };
        second.note_arrival(Origin { exchange: String::new(), routing_key: "q".into(), queue: "q".into() }, None);
        assert_eq!((second.attempts.earlier, &second.origin), (2, &first.origin));
    }
}
