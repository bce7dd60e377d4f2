//! Replies that nobody takes, requests that would be answered for ever, and faults of the host itself.

use super::*;
use crate::{
    journal::report::State,
    testing::{PANICS, SILENT},
};

fn call(method: &str, reply_queue: &str) -> Message {
    message(json!({
        "method": method, "args": {}, "_msg_id": "i", "_reply_q": reply_queue, "_timeout": null, "_unique_id": "u",
    }))
}

impl Service {
    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|counted| counted == line)
    }
}

#[tokio::test]
async fn no_reply_goes_to_a_queue_that_is_served() {
    let service = Service::start(catalog(ECHO, tight()), 2, LONG).await;
    for queue in ["t", "t.s"] {
        service.broker.inject(&topic(), &call("m", queue));
    }
    // What an answer would look like that somebody else sends there.
    service.broker.inject(&topic(), &message(json!({"result": 1, "failure": null, "ending": true, "_msg_id": "t"})));
    service.idle().await;
    assert!(service.counts("nova_host_deliveries_rejected_total 3"), "{}", service.metrics.encode());
    assert_eq!((service.broker.waiting("t.s"), service.broker.unsettled("t.s")), (Some(0), Some(0)));
    service.call("m").await.unwrap();
}

#[tokio::test]
async fn a_fault_of_the_host_is_answered_and_counted_and_the_next_request_runs() {
    let service = Service::start(catalog(ECHO, tight()), 1, LONG).await;
    match service.call(PANICS).await {
        Err(Error::Remote(failure)) => {
            assert_eq!((failure.module.as_str(), failure.class.as_str()), ("nova_host.errors", "InternalError"));
        }
        other => panic!("{other:?}"),
    }
    service.client.cast(invocation(PANICS), LONG).await.unwrap();
    service.call("m").await.unwrap();
    service.idle().await;
    assert!(service.counts("nova_host_panics_total 2") && service.counts("nova_host_deliveries_in_flight 0"));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_in_flight_until_it_is_settled_also_while_its_reply_waits() {
    let service = Service::start(catalog(ECHO, tight()), 3, LONG).await;
    service.broker.inject(&topic(), &call("m", "gone"));
    // With three places, one may wait unsettled.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(service.broker.unsettled("t"), Some(1));
    assert!(service.counts("nova_host_deliveries_in_flight 1"));
    assert_eq!(service.journal.activity().requests[0].state, State::Answering);
    service.call("m").await.unwrap();
    // Its time is over, and it is said.
    tokio::time::sleep(Duration::from_secs(60)).await;
    service.idle().await;
    assert!(service.counts("nova_host_deliveries_in_flight 0"));
    assert!(service.journal.activity().requests.is_empty());
    assert!(service.counts("nova_host_replies_total{fate=\"dropped\"} 1"), "{}", service.metrics.encode());
}

#[tokio::test(start_paused = true)]
async fn a_burst_for_a_queue_that_says_nothing_holds_up_nobody_and_is_not_lost() {
    let service = Service::start(catalog(ECHO, tight()), 2, LONG).await;
    for n in 0..6 {
        let mut call = call("m", SILENT);
        call.body = String::from_utf8(call.body.to_vec()).unwrap().replace("\"u\"", &format!("\"u{n}\"")).into();
        service.broker.inject(&topic(), &call);
    }
    // More than there are permits, and more than are taken at once otherwise.
    let all_are_taken = async {
        while service.broker.unsettled("t") != Some(6) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), all_are_taken).await.expect("sooner than the silence is judged");
    service.call("m").await.unwrap();
    assert!(service.counts("nova_host_permits_free 2"), "{}", service.metrics.encode());
    assert!(service.counts("nova_host_deliveries_in_flight 6"));
    let broker = service.crash().await;
    assert_eq!((broker.waiting("t"), broker.unsettled("t")), (Some(6), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_answered_is_a_dead_letter_where_there_is_an_exchange() {
    let dead_letters = Some(DeadLetters { exchange: "dead".into(), routing_key: None });
    for max_in_flight in [1, 3] {
        let config = Config { max_in_flight, dead_letters: dead_letters.clone(), ..Config::default() };
        let service = Service::with(catalog(ECHO, tight()), config).await;
        let destination = Destination::Exchange { exchange: "dead".into(), routing_key: "t".into() };
        service.broker.declare(destination, "letters");
        service.broker.inject(&topic(), &call("m", "gone"));
        while service.broker.waiting("letters") != Some(1) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let letter = service.broker.take("letters").unwrap();
        let header = |name: &str| format!("{:?}", letter.headers.get(name));
        assert!(header("x-dead-outcome").contains("unanswered"), "{letter:?}");
        assert!(header("x-dead-error").contains("missing"), "{letter:?}");
        service.idle().await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_comes_back_again_and_again_is_given_up() {
    let dead_letters = Some(DeadLetters { exchange: "dead".into(), routing_key: None });
    let config = Config { max_in_flight: 1, dead_letters, ..Config::default() };
    let service = Service::with(catalog("(unreachable)", tight()), config).await;
    // The exchange leads back to the queue that it takes letters of.
    service.broker.declare(Destination::Exchange { exchange: "dead".into(), routing_key: "t".into() }, "t");
    service.client.cast(invocation("m"), LONG).await.unwrap();
    while !service.counts("nova_host_dead_letters_refused_total 1") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    service.idle().await;
    assert!(service.counts("nova_host_dead_letters_total 10"), "{}", service.metrics.encode());
}

#[tokio::test]
async fn a_mark_of_any_length_is_remembered_in_bounded_room() {
    let service = Service::start(catalog(ECHO, tight()), 2, LONG).await;
    let long = "x".repeat(1 << 20);
    for end in ["a", "a", "b"] {
        let body = json!({"method": "m", "args": {}, "_unique_id": format!("{long}{end}")});
        service.broker.inject(&topic(), &message(body));
    }
    service.idle().await;
    assert!(service.counts("nova_host_deliveries_duplicate_total 1"), "{}", service.metrics.encode());
}
