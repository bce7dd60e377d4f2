//! Stories of the corridor, over the broker in memory.

#[path = "tests/dead_letters.rs"]
mod dead_letters;
#[path = "tests/forward.rs"]
mod forward;
#[path = "tests/policies.rs"]
mod policies;
#[path = "tests/refused.rs"]
mod refused;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    catalog::Catalog,
    client::{Client, Error, Invocation, Provenance, Target},
    envelope::{Context, Text},
    journal::report::State,
    testing::{ECHO, LOOP, catalog, tight, wide},
    transport::{Destination, Disposition, Message, Subscription, memory::Broker},
};

fn with(transport: &Transport, catalog: Catalog, forwarding: Option<Forwarding>) -> With {
    let catalog = Current::new(catalog, Duration::ZERO);
    With {
        transport: transport.clone(),
        catalog,
        capabilities: Capabilities::default(),
        forwarding,
        journal: Recorder::default(),
        tracer: Tracer::default(),
        recordings: None,
    }
}

struct Service {
    broker: Broker,
    client: Client,
    shutdown: Shutdown,
    metrics: Metrics,
    journal: Recorder,
    task: tokio::task::JoinHandle<()>,
}

fn topic() -> Destination {
    Destination::Topic { exchange: "nova".into(), topic: "t".into() }
}

fn invocation(method: &str) -> Invocation {
    Invocation {
        target: Target::new("nova", "t"),
        method: method.into(),
        arguments: Text::of(&json!({"a": 1})),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

impl Service {
    async fn start(catalog: Catalog, max_in_flight: u16, grace_period: Duration) -> Self {
        Self::with(catalog, Config { max_in_flight, grace_period, ..Config::default() }).await
    }

    async fn with(catalog: Catalog, config: Config) -> Self {
        Self::on(Broker::default(), catalog, config).await
    }

    async fn on(broker: Broker, catalog: Catalog, config: Config) -> Self {
        let transport = Transport::Memory(broker.clone());
        let (shutdown, metrics) = (Shutdown::default(), Metrics::default());
        let with = with(&transport, catalog, None);
        let journal = with.journal.clone();
        let task = Self::serve(&metrics, with, config, &shutdown).await;
        Self { broker, client: Client::new(transport), shutdown, metrics, journal, task }
    }

    /// Ends the service without waiting for what runs.
    async fn crash(self) -> Broker {
        self.shutdown.stop.cancel();
        self.shutdown.now.cancel();
        self.task.await.unwrap();
        self.broker
    }

    /// Waits until nothing waits and nothing runs.
    async fn idle(&self) {
        while (self.broker.waiting("t"), self.broker.unsettled("t")) != (Some(0), Some(0)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn serve(metrics: &Metrics, with: With, config: Config, shutdown: &Shutdown) -> tokio::task::JoinHandle<()> {
        let subscription = Subscription {
            exchange: "nova".into(),
            topics: vec!["t".into()],
            server: "s".into(),
            prefetch: config.window(),
            queue_prefix: String::new(),
        };
        let deliveries = with.transport.listen(subscription).await.unwrap();
        tokio::spawn(serve(config, metrics.clone(), with, deliveries, shutdown.clone()))
    }

    /// Waits until this many requests run.
    async fn running(&self, count: usize) {
        while self.broker.unsettled("t") != Some(count) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Taken from the queue is not yet taken by the corridor.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn call(&self, method: &str) -> Result<Text, Error> {
        self.client.call(invocation(method), Duration::from_secs(10)).await
    }
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_call_is_answered() {
    let service = Service::start(catalog(ECHO, tight()), 2, LONG).await;
    assert_eq!(service.call("m").await.unwrap().get(), r#"{"a": 1}"#);
}

#[tokio::test]
async fn every_failure_is_answered_and_acknowledged() {
    let service = Service::start(catalog("(unreachable)", tight()), 1, LONG).await;
    for (method, class) in [("m", "HandlerTrapped"), ("nope", "NoSuchMethod"), ("m", "HandlerTrapped")] {
        match service.call(method).await {
            Err(Error::Remote(failure)) => assert_eq!(failure.class, class),
            other => panic!("{other:?}"),
        }
    }
    service.shutdown.stop.cancel();
    service.task.await.unwrap();
    assert_eq!(service.broker.waiting("t"), Some(0));
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_disturbs_nobody() {
    let service = Service::start(catalog(ECHO, tight()), 1, LONG).await;
    for body in ["nonsense", "[]", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#] {
        let content_type = Some("application/json".to_owned());
        service.broker.inject(&topic(), &Message { body: body.into(), content_type, ..Message::default() });
    }
    service.call("m").await.unwrap();
}

#[tokio::test]
async fn no_more_requests_run_than_are_allowed() {
    for (waiting, taken) in [(0, 2), (1024, 5)] {
        let fair = Fair { waiting, by: None };
        let config = Config { max_in_flight: 2, grace_period: LONG, fair, ..Config::default() };
        let service = Service::with(catalog(LOOP, wide()), config).await;
        for _ in 0..5 {
            service.client.cast(invocation("m"), LONG).await.unwrap();
        }
        service.running(taken).await;
        let states: Vec<_> = service.journal.journal().requests.into_iter().map(|request| request.state).collect();
        assert_eq!(states.iter().filter(|state| **state == State::Running).count(), 2, "{states:?}");
        assert_eq!((states.len(), service.broker.waiting("t")), (taken, Some(5 - taken)));
        service.crash().await;
    }
}

// Two threads: on one, a guest that loops lets timers fire only now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_shutdown_what_is_in_flight_is_finished() {
    let service = Service::start(catalog(LOOP, tight()), 1, LONG).await;
    let call = service.call("m");
    let stop = async {
        service.running(1).await;
        service.shutdown.stop.cancel();
    };
    match tokio::join!(call, stop) {
        (Err(Error::Remote(failure)), ()) => assert_eq!(failure.class, "HandlerTimedOut"),
        (other, ()) => panic!("{other:?}"),
    }
    service.task.await.unwrap();
}

#[tokio::test]
async fn what_is_not_finished_in_time_goes_back_and_another_server_runs_it() {
    let service = Service::start(catalog(LOOP, wide()), 1, Duration::ZERO).await;
    let other = catalog(ECHO, tight());
    let transport = Transport::Memory(service.broker.clone());
    let call = service.call("m");
    let swap = async {
        service.running(1).await;
        service.shutdown.stop.cancel();
        while service.broker.waiting("t") != Some(1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let config = Config { max_in_flight: 1, grace_period: LONG, ..Config::default() };
        let with = with(&transport, other, None);
        let _runs_on = Service::serve(&Metrics::default(), with, config, &Shutdown::default()).await;
    };
    let (answer, ()) = tokio::join!(call, swap);
    assert_eq!(answer.unwrap().get(), r#"{"a": 1}"#);
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let service = Service::start(catalog(LOOP, wide()), 1, LONG).await;
    service.client.cast(invocation("m"), LONG).await.unwrap();
    service.running(1).await;
    service.shutdown.stop.cancel();
    service.shutdown.now.cancel();
    service.task.await.unwrap();
    assert_eq!(service.broker.waiting("t"), Some(1));
}

#[tokio::test]
async fn the_same_request_sent_twice_runs_once() {
    let service = Service::start(catalog(ECHO, tight()), 4, LONG).await;
    let transport = Transport::Memory(service.broker.clone());
    let mut replies = transport.listen_for_replies("reply_test").await.unwrap();
    let body = json!({
        "method": "m", "args": {}, "_msg_id": "i", "_reply_q": "reply_test", "_timeout": null, "_unique_id": "same",
    });
    let message = Message {
        body: body.to_string().into(),
        content_type: Some("application/json".to_owned()),
        ..Message::default()
    };
    service.broker.inject(&topic(), &message);
    service.broker.inject(&topic(), &message);
    replies.next().await.unwrap().settlement.settle(Disposition::Ack).await.unwrap();
    while (service.broker.waiting("t"), service.broker.unsettled("t")) != (Some(0), Some(0)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((service.broker.waiting("reply_test"), service.broker.unsettled("reply_test")), (Some(0), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_reply_queue_holds_nobody_up_and_is_answered_when_it_is_back() {
    let service = Service::start(catalog(ECHO, tight()), 1, LONG).await;
    let body = json!({
        "method": "m", "args": {}, "_msg_id": "late", "_reply_q": "reply_gone", "_timeout": null,
    });
    let content_type = Some("application/json".to_owned());
    let message = Message { body: body.to_string().into(), content_type, ..Message::default() };
    service.broker.inject(&topic(), &message);
    // With one permit, this shows that the late reply holds none.
    service.call("m").await.unwrap();
    let transport = Transport::Memory(service.broker.clone());
    let mut replies = transport.listen_for_replies("reply_gone").await.unwrap();
    assert!(replies.next().await.is_some());
}

/// A message as other clients put it.
fn message(inner: serde_json::Value) -> Message {
    let content_type = Some("application/json".to_owned());
    Message { body: inner.to_string().into(), content_type, ..Message::default() }
}

/// A call as another client might put it, with this call monitor timeout.
fn monitored(timeout: &str) -> Message {
    let body =
        format!(r#"{{"method": "m", "args": {{}}, "_msg_id": "i", "_reply_q": "reply_test", "_timeout": {timeout}}}"#);
    let content_type = Some("application/json".to_owned());
    Message { body: body.into(), content_type, ..Message::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_asked_for_heartbeats_gets_them_until_its_answer_and_nobody_else_does() {
    let limits = crate::sandbox::Limits { timeout: Duration::from_millis(2500), ..tight() };
    let service = Service::start(catalog(LOOP, limits), 4, LONG).await;
    let transport = Transport::Memory(service.broker.clone());
    let mut replies = transport.listen_for_replies("reply_test").await.unwrap();
    for (timeout, expected) in [("2", 2), ("null", 0), ("1", 0)] {
        service.broker.inject(&topic(), &monitored(timeout));
        let mut beats = 0;
        loop {
            let delivery = replies.next().await.unwrap();
            delivery.settlement.settle(Disposition::Ack).await.unwrap();
            let reply = crate::envelope::Reply::decode(&delivery.message.body, Some("application/json"), None).unwrap();
            if reply.ending {
                break;
            }
            beats += 1;
        }
        assert_eq!(beats, expected, "_timeout: {timeout}");
    }
}
