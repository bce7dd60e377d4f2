//! The table "Serving: what is published" of docs/refusals.md: what becomes of a message, by what the broker says to it.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    client, hasty, in_time,
    peer::{EXCHANGE, Heard, PUBLISH, Peer, QUEUE, Say},
};
use crate::transport::{
    Error,
    destination::Destination,
    publication::{Publication, Published, Retry, Routing},
};

fn reply() -> Destination {
    Destination::Queue("reply_q".to_owned())
}

fn topic() -> Destination {
    Destination::Topic { exchange: "nova".to_owned(), topic: "conductor".to_owned() }
}

fn dead_letter() -> Destination {
    Destination::Exchange { exchange: "dead".to_owned(), routing_key: "conductor".to_owned() }
}

async fn publish(peer: &Peer, destination: Destination) -> Result<Published, Error> {
    let publication = Publication::new(destination, Routing::Mandatory, "{}");
    in_time(client(peer, hasty()).publish(&publication, Retry::Forever)).await
}

/// Says this to the messages on the first of the connections.
fn at_first(said: &'static [Say]) -> Peer {
    Peer::start(move |heard| match heard.method {
        PUBLISH if heard.connection == 1 => said.to_vec(),
        _ => vec![Say::Yes],
    })
}

/// Says this to all messages.
fn always(said: &'static [Say]) -> Peer {
    Peer::start(move |heard| if heard.method == PUBLISH { said.to_vec() } else { vec![Say::Yes] })
}

fn channels(heard: &[Heard]) -> HashSet<u16> {
    heard.iter().map(|heard| heard.channel).collect()
}

#[tokio::test]
async fn what_ends_the_connection_has_the_message_sent_again_on_the_next_one() {
    const ENDS: &[&[Say]] = &[
        &[Say::Connection(320, "CONNECTION_FORCED - shutdown")],
        &[Say::Connection(501, "FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,131218,131064}")],
        &[Say::Connection(502, "SYNTAX_ERROR")],
        &[Say::Connection(503, "COMMAND_INVALID")],
        &[Say::Connection(504, "CHANNEL_ERROR - expected 'channel.open'")],
        &[Say::Connection(505, "UNEXPECTED_FRAME")],
        &[Say::Connection(506, "RESOURCE_ERROR")],
        &[Say::Connection(530, "NOT_ALLOWED")],
        &[Say::Connection(540, "NOT_IMPLEMENTED")],
        &[Say::Connection(541, "INTERNAL_ERROR")],
        &[Say::HangUp],
    ];
    for ends in ENDS {
        for destination in [reply(), topic(), dead_letter()] {
            let peer = at_first(ends);
            assert!(matches!(publish(&peer, destination).await, Ok(Published::Confirmed)), "{ends:?}");
            assert_eq!((peer.connections(), peer.heard(PUBLISH).len()), (2, 2), "{ends:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_given_back_reaches_nobody_whatever_the_code() {
    for said in [&[Say::Return(312), Say::Yes][..], &[Say::Return(313), Say::Yes]] {
        for destination in [reply(), topic(), dead_letter()] {
            let published = publish(&always(said), destination).await;
            assert!(matches!(published, Ok(Published::Unroutable)), "{said:?}: {published:?}");
        }
    }
}

#[tokio::test]
async fn a_queue_that_refuses_on_a_new_channel_too_is_said_to_be_full_where_it_holds_messages() {
    for (holds, is_full) in [(0, false), (1, true)] {
        let peer = Peer::start(move |heard| match heard.method {
            PUBLISH => vec![Say::Nack],
            QUEUE => vec![Say::Holds(holds)],
            _ => vec![Say::Yes],
        });
        let published = publish(&peer, reply()).await;
        assert!(matches!(published, Ok(Published::Nacked { is_full: full }) if full == is_full), "{published:?}");
        assert_eq!(channels(&peer.heard(PUBLISH)).len(), 2);
    }
}

/// A code of AMQP's that RabbitMQ has never used for a message: it is the message's fault, and said.
#[tokio::test]
async fn what_ends_the_channel_again_and_again_is_the_messages_fault_in_the_end() {
    for said in [
        &[Say::Channel(311, "CONTENT_TOO_LARGE - it is")][..],
        &[Say::Channel(313, "NO_CONSUMERS - there are")],
        &[Say::Channel(405, "RESOURCE_LOCKED - it is")],
        &[Say::Channel(406, "PRECONDITION_FAILED - odd")],
    ] {
        for destination in [reply(), topic(), dead_letter()] {
            let peer = always(said);
            let error = publish(&peer, destination).await.expect_err("it is refused");
            let Say::Channel(_, text) = said[0] else { panic!() };
            assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(text), "{error}");
            // In company it may be another's.
            assert_eq!((peer.connections(), channels(&peer.heard(PUBLISH)).len()), (1, 4), "{text}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_and_an_exchange_that_is_forbidden_are_said_at_once() {
    let peer =
        always(&[Say::Channel(406, "PRECONDITION_FAILED - message size 2 is larger than configured max size 1")]);
    let error = publish(&peer, reply()).await.expect_err("it is too large");
    assert!(matches!(error, Error::TooLarge { length: 2, limit: 1, .. }), "{error}");
    let forbidden: [(_, &[Say]); 3] = [
        (reply(), &[Say::Channel(403, "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused")]),
        (topic(), &[Say::Channel(403, "ACCESS_REFUSED - access to exchange 'nova' in vhost '/' refused")]),
        (dead_letter(), &[Say::Channel(403, "ACCESS_REFUSED - access to exchange 'dead' in vhost '/' refused")]),
    ];
    for (destination, said) in forbidden {
        let peer = always(said);
        let error = publish(&peer, destination).await.expect_err("it is forbidden");
        assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("permission"), "{error}");
        assert_eq!(peer.heard(PUBLISH).len(), 1);
    }
}

#[tokio::test]
async fn an_exchange_that_is_missing_is_declared_again_where_it_is_ours_to_declare() {
    const MISSING: Say = Say::Channel(404, "NOT_FOUND - no exchange 'nova' in vhost '/'");
    let sent = AtomicUsize::new(0);
    let peer = Peer::start(move |heard| match heard.method {
        PUBLISH if sent.fetch_add(1, Ordering::Relaxed) == 0 => vec![MISSING],
        _ => vec![Say::Yes],
    });
    assert!(matches!(publish(&peer, topic()).await, Ok(Published::Confirmed)));
    assert_eq!((peer.heard(EXCHANGE).len(), peer.heard(PUBLISH).len(), peer.connections()), (2, 2, 1));
    let gone = Peer::start(|heard| match heard.method {
        EXCHANGE => vec![Say::Channel(404, "NOT_FOUND - no exchange 'dead' in vhost '/'")],
        _ => vec![Say::Yes],
    });
    let error = publish(&gone, dead_letter()).await.expect_err("it is others' to declare");
    assert!(matches!(error, Error::NoExchange { .. }) && error.to_string().contains("declare it"), "{error}");
    assert_eq!(gone.heard(PUBLISH).len(), 0);
}

/// It refuses on one channel, as RabbitMQ does for a quorum queue whose leader has died, and takes all on others. What was on
/// its way on the first one is confirmed there, later.
#[tokio::test]
async fn a_channel_that_refuses_is_given_up_and_what_was_on_its_way_there_is_not_sent_again() {
    let sent = AtomicUsize::new(0);
    let peer = Peer::start(move |heard| match heard.method {
        PUBLISH => match sent.fetch_add(1, Ordering::Relaxed) {
            0 => vec![],
            1 => vec![Say::Nack],
            // The second one, on a channel of its own.
            2 => vec![Say::Yes],
            _ => vec![Say::Yes, Say::First],
        },
        _ => vec![Say::Yes],
    });
    let client = client(&peer, hasty());
    let send = || async {
        let publication = Publication::new(reply(), Routing::Mandatory, "{}");
        in_time(client.publish(&publication, Retry::Forever)).await
    };
    let first = async {
        let confirmed = send().await;
        assert_eq!(peer.heard(PUBLISH).len(), 4, "it was not sent again");
        confirmed
    };
    let others = async {
        peer.hears(PUBLISH, 1).await;
        (send().await, send().await)
    };
    let (first, (second, third)) = tokio::join!(first, others);
    for published in [first, second, third] {
        assert!(matches!(published, Ok(Published::Confirmed)), "{published:?}");
    }
    let channels: Vec<u16> = peer.heard(PUBLISH).iter().map(|heard| heard.channel).collect();
    assert_eq!(channels[0], channels[1]);
    assert!(!channels[2..].contains(&channels[0]), "{channels:?}");
}
