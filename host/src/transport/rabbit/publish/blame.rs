//! Which message a channel has ended for.
//!
//! Before it: [`super::outbox`] has lost a channel, and with it the confirmations of all messages on it. After it: the
//! message that is to blame is refused, for to send it again would cost the next channel; the others are sent again.

use super::{
    super::wire::failure,
    parcel::{Parcel, Refusal},
};

/// What the broker calls the exchange without a name.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// Why the broker has closed the channel, where it was for this message.
pub(crate) fn blame(parcel: &Parcel, error: &lapin::Error) -> Option<Refusal> {
    if !failure::is_of_channel(error) {
        return None;
    }
    let text = failure::text(error);
    if let Some((length, limit)) = too_large(&text) {
        return (length == parcel.publication.body.len()).then_some(Refusal::TooLarge { limit });
    }
    let exchange = Some(parcel.route.exchange_name()).filter(|name| !name.is_empty()).unwrap_or(DEFAULT_EXCHANGE);
    if !text.starts_with("ACCESS_REFUSED") || !text.contains(&format!("exchange '{exchange}' ")) {
        return None;
    }
    let reason = format!("{text}; give the user permission to write to `{exchange}`");
    if !text.contains(" to topic '") {
        return Some(Refusal::Exchange(reason));
    }
    // Only this routing key is forbidden.
    text.contains(&format!(" to topic '{}' ", parcel.route.key)).then_some(Refusal::Other(reason))
}

/// The size of a body, and the most that is allowed: `… message size 140 is larger than configured max size 128`.
fn too_large(text: &str) -> Option<(usize, usize)> {
    let (_, rest) = text.split_once("message size ")?;
    let (length, rest) = rest.split_once(' ')?;
    let (_, limit) = rest.rsplit_once("max size ")?;
    Some((length.parse().ok()?, limit.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use lapin::{BasicProperties, ErrorKind, protocol::AMQPError};

    use super::*;
    use crate::transport::{
        destination::Destination,
        publication::{Publication, Routing},
        topology::{self, Options},
    };

    fn broker_says(code: u16, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::from_id(code, text.into()).unwrap()).into()
    }

    fn parcel(destination: Destination, length: usize) -> Parcel {
        let route = topology::route(&destination, &Options::default());
        let publication = Publication::new(destination, Routing::Mandatory, vec![b' '; length]);
        Parcel { publication, properties: BasicProperties::default(), route }
    }

    fn topic(exchange: &str) -> Parcel {
        parcel(Destination::Topic { exchange: exchange.into(), topic: "t".into() }, 2)
    }

    #[test]
    fn only_the_message_that_ended_a_channel_is_blamed() {
        let forbidden = |name: &str| {
            broker_says(403, &format!("ACCESS_REFUSED - access to exchange '{name}' in vhost '/' refused for user 'u'"))
        };
        let is_told = |refusal| matches!(refusal, Some(Refusal::Exchange(text) | Refusal::Other(text)) if text.contains("permission"));
        assert!(is_told(blame(&topic("nova"), &forbidden("nova"))));
        assert_eq!(blame(&topic("nov"), &forbidden("nova")), None);
        let reply = |length| parcel(Destination::Queue("reply".into()), length);
        assert!(is_told(blame(&reply(2), &forbidden("amq.default"))), "the broker's name for the default exchange");
        assert_eq!(blame(&topic("nova"), &forbidden("amq.default")), None);
        let topical = |key: &str| {
            let text =
                format!("ACCESS_REFUSED - write access to topic '{key}' in exchange 'nova' in vhost '/' refused");
            broker_says(403, &text)
        };
        assert!(is_told(blame(&topic("nova"), &topical("t"))));
        assert_eq!(blame(&topic("nova"), &topical("other")), None);
        let large = "PRECONDITION_FAILED - message size 140 is larger than configured max size 128";
        assert_eq!(blame(&reply(140), &broker_says(406, large)), Some(Refusal::TooLarge { limit: 128 }));
        assert_eq!(blame(&reply(14), &broker_says(406, large)), None);
        assert_eq!(blame(&topic("nova"), &broker_says(404, "NOT_FOUND - no exchange 'nova' in vhost '/'")), None);
        let connection = broker_says(320, "CONNECTION_FORCED - message size 140 is larger than max size 1");
        assert_eq!(blame(&reply(140), &connection), None);
    }
}
