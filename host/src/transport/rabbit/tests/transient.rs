//! What a broker says that denies queues which are not durable, as RabbitMQ 4.3 does: it ends the connection with `541
//! INTERNAL_ERROR` where such a queue is declared.

use super::{
    hasty,
    peer::{EXCHANGE, Heard, Peer, QUEUE, Say},
    serve,
};
use crate::transport::{Error, rabbit::Config, topology::Options};

/// Says this where a queue is declared that is not durable.
fn denies(heard: &Heard, text: &'static str) -> Say {
    if heard.method == QUEUE && !heard.is_durable() { Say::Connection(541, text) } else { Say::Yes }
}

/// Listens to a topic at such a broker; gives what came of it and how often it was tried.
async fn listen(text: &'static str, declare: Options) -> (Error, usize) {
    let peer = Peer::start(move |heard| vec![denies(heard, text)]);
    let error = serve(&super::client(&peer, Config { declare, ..hasty() })).await.expect_err("a refusal");
    (error, peer.connections())
}

fn assert_is_refusal(error: &Error) {
    let shown = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{shown}");
    for option in ["rabbit_quorum_queue", "rabbit_transient_quorum_queue", "permit.transient_nonexcl_queues"] {
        assert!(shown.contains(option), "{shown}");
    }
}

#[tokio::test]
async fn a_broker_that_gives_up_at_a_transient_queue_twice_denies_it_and_what_to_do_is_said() {
    let (error, connections) = listen("INTERNAL_ERROR", Options::default()).await;
    assert_is_refusal(&error);
    // Once may be an accident.
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn a_broker_that_says_that_it_denies_transient_queues_is_believed_at_once() {
    let text = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated";
    let (error, connections) = listen(text, Options::default()).await;
    assert_is_refusal(&error);
    assert_eq!(connections, 1);
    // Also where only the fanout queue is transient.
    let (error, _) = listen(text, Options { rabbit_quorum_queue: true, ..Options::default() }).await;
    assert_is_refusal(&error);
}

/// As a start that was refused leaves it behind, or another client.
#[tokio::test]
async fn durable_queues_are_served_at_an_exchange_that_is_not_durable_where_no_others_are_permitted() {
    for text in ["INTERNAL_ERROR", "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated"] {
        let peer = Peer::start(move |heard| {
            let is_durable_exchange = heard.method == EXCHANGE && heard.name() == "nova" && heard.is_durable();
            if is_durable_exchange {
                return vec![Say::Channel(
                    406,
                    "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'nova' in vhost '/': received 'true' but current is 'false'",
                )];
            }
            vec![denies(heard, text)]
        });
        let declare = Options { amqp_durable_queues: true, rabbit_transient_quorum_queue: true, ..Options::default() };
        let serving = serve(&super::client(&peer, Config { declare, ..hasty() })).await;
        assert!(serving.is_ok(), "{text}: {serving:?}");
    }
}
