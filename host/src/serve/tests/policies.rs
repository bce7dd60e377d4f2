//! Stories of the delivery policies and of requests that come again.

use super::*;
use crate::{
    catalog::Policy,
    dispatch,
    envelope::{Answer, Reply},
    testing::{generation_with, program},
    transport::{ATTEMPTS, Deliveries, Header},
};

fn config(policy: Policy, max_attempts: u32) -> Config {
    let dispatch = dispatch::Options { policy, ping: true };
    Config { max_in_flight: 1, grace_period: LONG, dispatch, max_attempts, dead_letters: None, ..Config::default() }
}

fn call() -> Message {
    message(json!({
        "method": "m", "args": {}, "_msg_id": "i", "_reply_q": "reply_test", "_timeout": null, "_unique_id": "same",
    }))
}

async fn listen(broker: &Broker) -> Deliveries {
    Transport::Memory(broker.clone()).listen_for_replies("reply_test").await.unwrap()
}

async fn reply(replies: &mut Deliveries) -> Result<String, String> {
    let delivery = replies.next().await.unwrap();
    delivery.settlement.settle(Disposition::Ack).await.unwrap();
    let reply = Reply::decode(&delivery.message.body, Some("application/json"), None).unwrap();
    match reply.answer.unwrap().unwrap() {
        Answer::Result(result) => Ok(result.get().to_owned()),
        Answer::Failure(failure) => Err(failure.class),
    }
}

#[tokio::test]
async fn at_least_once_is_acknowledged_at_the_end_and_at_most_once_at_the_start() {
    for (policy, unsettled) in [(Policy::AtLeastOnce, 1), (Policy::AtMostOnce, 0)] {
        let service = Service::with(catalog(LOOP, wide()), config(policy, 10)).await;
        service.client.cast(invocation("m"), LONG).await.unwrap();
        service.client.cast(invocation("m"), LONG).await.unwrap();
        // One runs; the other waits for the permit and is not acknowledged, whatever its policy.
        while service.broker.unsettled("t") != Some(1) || service.broker.waiting("t") != Some(1 - (1 - unsettled)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let broker = service.crash().await;
        // What was acknowledged has gone with its host.
        assert_eq!(broker.waiting("t"), Some(1 + unsettled), "{policy:?}");
    }
}

#[tokio::test]
async fn a_methods_own_policy_wins_over_the_handlers_and_that_over_the_services() {
    for (manifest, service_wide, expected) in [
        ("", Policy::AtMostOnce, 0),
        ("delivery.policy = \"at-least-once\"", Policy::AtMostOnce, 1),
        ("delivery.policy = \"at-most-once\"", Policy::AtLeastOnce, 0),
        ("delivery.policy = \"at-most-once\"\ndelivery.methods.m = \"at-least-once\"", Policy::AtMostOnce, 1),
        ("delivery.methods.n = \"at-least-once\"", Policy::AtMostOnce, 0),
    ] {
        let guest = generation_with("guest", "1.0", &["m", "n"], program(LOOP, wide()), manifest);
        let catalog = Catalog::default().with(guest).unwrap();
        let service = Service::with(catalog, config(service_wide, 10)).await;
        service.client.cast(invocation("m"), LONG).await.unwrap();
        while service.broker.waiting("t") != Some(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(service.crash().await.waiting("t"), Some(expected), "{manifest} {service_wide:?}");
    }
}

#[tokio::test]
async fn at_most_once_is_not_acknowledged_before_its_handler_has_a_place() {
    let limits = crate::sandbox::Limits { concurrency: Some(1), ..wide() };
    let config = Config { max_in_flight: 2, ..config(Policy::AtMostOnce, 10) };
    let service = Service::with(catalog(LOOP, limits), config).await;
    for _ in 0..2 {
        service.client.cast(invocation("m"), LONG).await.unwrap();
    }
    while (service.broker.waiting("t"), service.broker.unsettled("t")) != (Some(0), Some(1)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(service.crash().await.waiting("t"), Some(1));
}

#[tokio::test]
async fn a_request_that_ends_its_hosts_is_begun_as_often_as_allowed_and_then_answered() {
    let mut broker = Broker::default();
    let mut replies = listen(&broker).await;
    for attempt in 0..3 {
        let service = Service::on(broker, catalog(LOOP, wide()), config(Policy::AtLeastOnce, 3)).await;
        if attempt == 0 {
            service.broker.inject(&topic(), &call());
        }
        service.running(1).await;
        broker = service.crash().await;
        assert_eq!(broker.waiting("t"), Some(1), "attempt {attempt}");
    }
    let service = Service::on(broker, catalog(ECHO, tight()), config(Policy::AtLeastOnce, 3)).await;
    assert_eq!(reply(&mut replies).await, Err("AttemptsExhausted".to_owned()));
    service.idle().await;
    assert_eq!(service.broker.waiting("reply_test"), Some(0));
}

#[tokio::test]
async fn a_request_within_its_attempts_runs_and_is_answered_once() {
    let service = Service::with(catalog(LOOP, wide()), config(Policy::AtLeastOnce, 3)).await;
    let mut replies = listen(&service.broker).await;
    service.broker.inject(&topic(), &call());
    service.running(1).await;
    let broker = service.crash().await;
    let service = Service::on(broker, catalog(ECHO, tight()), config(Policy::AtLeastOnce, 3)).await;
    // The copy that counts has the unique id of the message that it replaces, and runs all the same.
    assert_eq!(reply(&mut replies).await, Ok("{}".to_owned()));
    service.idle().await;
    assert_eq!(service.broker.waiting("reply_test"), Some(0));
}

#[tokio::test]
async fn without_a_bound_nothing_is_counted() {
    let service = Service::with(catalog(ECHO, tight()), config(Policy::AtLeastOnce, 0)).await;
    let mut replies = listen(&service.broker).await;
    let mut often = call();
    often.headers.insert(ATTEMPTS.to_owned(), Header::Number(1_000_000));
    often.redelivered = true;
    service.broker.inject(&topic(), &often);
    assert_eq!(reply(&mut replies).await, Ok("{}".to_owned()));
}

#[tokio::test]
async fn attempts_bind_who_is_acknowledged_at_the_end_only() {
    let mut often = call();
    often.headers.insert(ATTEMPTS.to_owned(), Header::Number(9));
    for (policy, redelivered, expected) in [
        (Policy::AtLeastOnce, false, Ok("{}".to_owned())),
        (Policy::AtLeastOnce, true, Err("AttemptsExhausted".to_owned())),
        (Policy::AtMostOnce, true, Ok("{}".to_owned())),
    ] {
        let service = Service::with(catalog(ECHO, tight()), config(policy, 10)).await;
        let mut replies = listen(&service.broker).await;
        service.broker.inject(&topic(), &Message { redelivered, ..often.clone() });
        assert_eq!(reply(&mut replies).await, expected, "{policy:?} {redelivered}");
    }
}

#[tokio::test]
async fn a_request_that_was_answered_and_comes_again_is_not_answered_again() {
    let service = Service::with(catalog(ECHO, tight()), config(Policy::AtLeastOnce, 3)).await;
    let mut replies = listen(&service.broker).await;
    service.broker.inject(&topic(), &call());
    assert_eq!(reply(&mut replies).await, Ok("{}".to_owned()));
    // Its acknowledgement was lost with the connection.
    service.broker.inject(&topic(), &Message { redelivered: true, ..call() });
    service.call("m").await.unwrap();
    service.idle().await;
    assert_eq!((service.broker.waiting("reply_test"), service.broker.unsettled("reply_test")), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_again_while_it_runs_is_answered_once() {
    let limits = crate::sandbox::Limits { timeout: Duration::from_millis(300), ..tight() };
    let service =
        Service::with(catalog(LOOP, limits), Config { max_in_flight: 3, ..config(Policy::AtLeastOnce, 3) }).await;
    let mut replies = listen(&service.broker).await;
    service.broker.inject(&topic(), &call());
    service.running(1).await;
    service.broker.inject(&topic(), &Message { redelivered: true, ..call() });
    assert_eq!(reply(&mut replies).await, Err("HandlerTimedOut".to_owned()));
    service.idle().await;
    assert_eq!((service.broker.waiting("reply_test"), service.broker.unsettled("reply_test")), (Some(0), Some(0)));
}

#[tokio::test]
async fn the_service_answers_a_ping_where_that_is_enabled() {
    let service = Service::with(catalog(ECHO, tight()), config(Policy::AtMostOnce, 3)).await;
    assert_eq!(service.call("oslo_rpc_server_ping").await.unwrap().get(), r#""pong""#);
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_request_ends_with_its_settlement_though_its_reply_waits_on() {
    let broker = Broker::default();
    let transport = Transport::Memory(broker.clone());
    let (tracer, mut ended) = crate::trace::recording();
    let with = With { tracer, ..with(&transport, catalog(ECHO, tight()), None) };
    let (shutdown, metrics) = (Shutdown::default(), Metrics::default());
    let _task = Service::serve(&metrics, with, config(Policy::AtMostOnce, 10), &shutdown).await;
    broker.inject(&topic(), &call());
    // Until its queue is there.
    while broker.unsettled("t") != Some(0) || broker.waiting("t") != Some(0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut replies = listen(&broker).await;
    reply(&mut replies).await.unwrap();
    let mut all = Vec::new();
    while !all.iter().any(|span: &String| span.contains("m receive")) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        all.extend(ended());
    }
    let end = |name: &str| -> u64 {
        let span = all.iter().find(|span| span.contains(&format!("name: {name:?}"))).unwrap();
        span.split_once("end_time_unix_nano: ").unwrap().1.split_once(',').unwrap().0.parse().unwrap()
    };
    assert!(end("m receive") < end("reply"), "{all:?}");
}
