//! Sessions, over the broker in memory: the other services are the tests', and say what they like.

mod bounds;
mod guests;
mod held;
mod state;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    envelope::Context,
    metrics::Metrics,
    settings::{Bytes, Settings},
    transport::{
        Deliveries, Destination, Disposition, Publication, Routing, Subscription, Transport, memory::Broker, rabbit,
    },
};

/// What handlers may reach here, and a service of the test's on topic `t`.
pub(crate) struct World {
    transport: Transport,
    pub(super) capabilities: Capabilities,
    pub(super) metrics: Metrics,
    deliveries: Deliveries,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// A world with a configuration.
    pub(super) async fn with(config: &str) -> Self {
        let transport = Transport::Memory(Broker::default());
        let subscription = Subscription {
            exchange: "nova".into(),
            topics: vec!["t".into()],
            server: "s".into(),
            prefetch: 10_000,
            queue_prefix: String::new(),
        };
        let deliveries = transport.listen(subscription).await.unwrap();
        let (config, rabbit) = (settings(config, Config::read), settings("", rabbit::Config::read));
        let capabilities = Capabilities::new(&config, &transport, "nova", &rabbit).unwrap();
        Self { transport, capabilities, metrics: Metrics::default(), deliveries }
    }

    /// A session of a handler that may ask topic `t` for everything; `limits` are of its manifest.
    pub(crate) fn session(&self, manifest: &str, cause: Cause) -> Session {
        let grants = settings(&format!("grants.rpc = [\"t/*\", \"u.m\"]\n{manifest}"), |settings| {
            Grants::read(settings, Values::default())
        });
        let limits = settings(manifest, |settings| Allowance::default().read(settings));
        Session::new(&self.capabilities, &grants.into(), &limits, &self.metrics.handler("h"), cause)
    }

    /// The next request that the service gets, as it is inside its envelope.
    pub(super) async fn asked(&mut self) -> Value {
        let delivery = self.deliveries.next().await.unwrap();
        delivery.settlement.settle(Disposition::Ack).await.unwrap();
        let outer: Value = serde_json::from_slice(&delivery.message.body).unwrap();
        serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap()
    }

    /// Whether the service was asked nothing more.
    pub(super) async fn is_silent(&mut self) -> bool {
        // A mark behind everything that was sent before it.
        let destination = Destination::Topic { exchange: "nova".into(), topic: "t".into() };
        let body = json!({"oslo.version": "2.0", "oslo.message": "{\"method\": \"silence\"}"}).to_string();
        let mark = Publication::new(destination, Routing::Mandatory, body);
        self.transport.publish(&mark).await.unwrap();
        self.asked().await["method"] == "silence"
    }

    async fn reply(&self, asked: &Value, mut reply: Value) {
        reply["_msg_id"] = asked["_msg_id"].clone();
        reply["ending"] = json!(true);
        let body = json!({"oslo.version": "2.0", "oslo.message": reply.to_string()}).to_string();
        let destination = Destination::Queue(asked["_reply_q"].as_str().unwrap().to_owned());
        let reply = Publication::new(destination, Routing::Mandatory, body);
        self.transport.publish(&reply).await.unwrap();
    }

    pub(super) fn has_counted(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|written| written == line)
    }
}

/// Some settings, of which nothing may be left or wrong.
fn settings<T>(text: &str, read: impl FnOnce(&mut Settings) -> T) -> T {
    let mut settings = Settings::default();
    settings.add_file(text).unwrap();
    read(&mut settings)
}

pub(crate) fn cause() -> Cause {
    Cause {
        context: Context::from_json(r#"{"user_id": "u", "auth_token": "secret"}"#).unwrap(),
        hops: 2,
        unique_id: Some("cause".to_owned()),
        deadline: std::time::Instant::now() + Duration::from_secs(600),
        release: Duration::from_secs(600),
        spans: Spans::default(),
    }
}

fn asks(method: &str, arguments: Value) -> Outgoing {
    let recipient = Recipient { topic: "t".into(), ..Recipient::default() };
    Outgoing { recipient, method: method.into(), arguments: arguments.to_string(), timeout: None, monitor: None }
}

#[tokio::test]
async fn a_call_takes_the_callers_context_along_and_brings_the_result_back() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    let recipient = Recipient {
        namespace: Some("n".into()),
        version: Some("1.2".into()),
        server: Some("s".into()),
        ..asks("m", json!({})).recipient
    };
    let request = Outgoing { recipient, monitor: Some(Duration::from_secs(20)), ..asks("m", json!({"a": 1})) };
    let answer = async {
        let asked = world.asked().await;
        world.reply(&asked, json!({"result": [1, null]})).await;
        asked
    };
    let (called, asked) = tokio::join!(session.call(request), answer);
    assert_eq!(called.unwrap().get(), "[1,null]");
    assert_eq!((&asked["method"], &asked["args"]), (&json!("m"), &json!({"a": 1})));
    assert_eq!((&asked["namespace"], &asked["version"]), (&json!("n"), &json!("1.2")));
    assert_eq!((&asked["_context_user_id"], &asked["_context_auth_token"]), (&json!("u"), &json!("secret")));
    assert_eq!((&asked["_nova_host_hops"], &asked["_timeout"]), (&json!(3), &json!(20)));
    assert!(world.has_counted(r#"nova_host_outgoing_requests_total{handler="h",kind="call",outcome="done"} 1"#));
    assert!(!format!("{session:?}").contains("secret"));
}

#[tokio::test]
async fn a_remote_failure_comes_back_as_it_is() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    let failure = json!({"class": "NoValidHost", "module": "nova.exception", "message": "none", "tb": ["x\n"],
                         "args": ["none"], "kwargs": {"reason": "full", "code": 500}});
    let answer = async {
        let asked = world.asked().await;
        world.reply(&asked, json!({"result": null, "failure": failure.to_string()})).await;
    };
    let (called, ()) = tokio::join!(session.call(asks("m", json!({}))), answer);
    let Err(Error::Remote(remote)) = called else { panic!("{called:?}") };
    assert_eq!(serde_json::from_str::<Value>(&remote.encode()).unwrap(), failure);
}

#[tokio::test]
async fn what_is_not_granted_is_not_sent() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    let to = |topic: &str, broker: Option<&str>| Outgoing {
        recipient: Recipient { topic: topic.into(), broker: broker.map(Into::into), ..Recipient::default() },
        ..asks("other", json!({}))
    };
    for request in [to("u", None), to("t", Some("cell")), to("T", None), to("t.s", None)] {
        let called = session.call(request.clone()).await;
        assert!(matches!(called, Err(Error::Denied(_))), "{request:?}: {called:?}");
        assert!(matches!(session.cast(request.clone(), true).await, Err(Error::Denied(_))), "{request:?}");
    }
    session.release().await.unwrap();
    assert!(world.is_silent().await);
    assert!(world.has_counted(r#"nova_host_outgoing_requests_total{handler="h",kind="call",outcome="denied"} 4"#));
}

#[tokio::test]
async fn a_chain_of_requests_ends() {
    let mut world = World::new().await;
    let session = world.session("", Cause { hops: 16, ..cause() });
    let Err(Error::Denied(reason)) = session.call(asks("m", json!({}))).await else { panic!("it was sent") };
    assert_eq!(reason, "16 requests of handlers led to one another already (rpc.max_hops)");
    assert!(world.is_silent().await);
    let last = world.session("", Cause { hops: 15, ..cause() });
    last.cast(asks("m", json!({})), false).await.unwrap();
    last.release().await.unwrap();
    assert_eq!(world.asked().await["_nova_host_hops"], 16);
}

#[tokio::test]
async fn what_makes_no_sense_is_not_sent() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    let with = |change: &dyn Fn(&mut Outgoing)| {
        let mut request = asks("m", json!({}));
        change(&mut request);
        request
    };
    for (request, reason) in [
        (with(&|request| request.recipient.topic.clear()), "a request needs a topic and a method"),
        (with(&|request| request.method.clear()), "a request needs a topic and a method"),
        (with(&|request| request.method = "m\n".into()), "the method has control characters, or more than 255 bytes"),
        (
            with(&|request| request.recipient.server = Some("s".repeat(256))),
            "the server has control characters, or more than 255 bytes",
        ),
        (
            with(&|request| request.recipient.version = Some("one".into())),
            "Version must contain a major and minor integer. Got one",
        ),
        (with(&|request| request.arguments = "[]".into()), "the arguments of m are not a JSON object: they are a list"),
        (
            with(&|request| request.arguments = "{} {}".into()),
            "the arguments of m are not a JSON object: trailing characters at line 1 column 4",
        ),
    ] {
        assert_eq!(session.call(request.clone()).await, Err(Error::Invalid(reason.to_owned())));
        assert_eq!(session.cast(request, false).await, Err(Error::Invalid(reason.to_owned())));
    }
    session.release().await.unwrap();
    assert!(world.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_its_handlers_time_does() {
    let world = World::new().await;
    let session =
        world.session("", Cause { deadline: std::time::Instant::now() + Duration::from_secs(300), ..cause() });
    let started = Instant::now();
    let request = Outgoing { timeout: Some(Duration::from_secs(600)), ..asks("m", json!({})) };
    let Err(Error::TimedOut(reason)) = session.call(request).await else { panic!("it was answered") };
    assert!(reason.starts_with("no reply to m within "), "{reason}");
    assert!(started.elapsed() <= Duration::from_secs(300), "{:?}", started.elapsed());
    let shorter = Outgoing { timeout: Some(Duration::from_secs(2)), ..asks("m", json!({})) };
    assert_eq!(session.call(shorter).await, Err(Error::TimedOut("no reply to m within 2s".to_owned())));
    let over = world.session("", Cause { deadline: std::time::Instant::now(), ..cause() });
    assert!(matches!(over.call(asks("m", json!({}))).await, Err(Error::TimedOut(_))));
}

#[tokio::test]
async fn somebody_who_is_not_there_is_an_error_at_once() {
    let world = World::new().await;
    let session = world.session("", cause());
    let recipient = Recipient { topic: "u".into(), ..Recipient::default() };
    let called = session.call(Outgoing { recipient, ..asks("m", json!({})) }).await;
    let Err(Error::Unavailable(reason)) = called else { panic!("{called:?}") };
    assert!(reason.starts_with("nobody serves topic u on nova"), "{reason}");
}

#[tokio::test]
async fn another_broker_is_reached_by_its_name_and_has_its_own_exchange() {
    let mut world = World::new().await;
    let brokers = "[brokers.cell]\ntransport_url = \"memory://\"\ncontrol_exchange = \"cells\"";
    let (config, rabbit) = (settings(brokers, Config::read), settings("", rabbit::Config::read));
    world.capabilities = Capabilities::new(&config, &world.transport, "nova", &rabbit).unwrap();
    let grants =
        settings("grants.rpc = [\"cell:t/m\", \"other:t/m\"]", |settings| Grants::read(settings, Values::default()));
    let metrics = world.metrics.handler("h");
    let session = Session::new(&world.capabilities, &grants.into(), &Allowance::default(), &metrics, cause());
    let ask = async |broker: Option<&str>| {
        let recipient = Recipient { broker: broker.map(Into::into), ..asks("m", json!({})).recipient };
        session.call(Outgoing { recipient, ..asks("m", json!({})) }).await.unwrap_err().text()
    };
    // Where it is served is the service's own broker.
    assert!(ask(Some("cell")).await.starts_with("nobody serves topic t on cells"));
    assert_eq!(ask(Some("other")).await, "the service has no broker other (brokers.other.transport_url)");
    assert_eq!(ask(None).await, "t/m is not granted (grants.rpc in the manifest)");
    assert!(world.is_silent().await);
}

#[tokio::test]
async fn many_calls_run_at_once_and_come_back_in_order() {
    let mut world = World::new().await;
    let session = world.session("limits.rpc_outstanding = 3", cause());
    let requests = (0..7).map(|n| asks("m", json!({"n": n}))).collect();
    let answer = async {
        let mut answered = 0;
        while answered < 7 {
            // So many have come before any is answered; the last one comes alone.
            let mut asked = Vec::new();
            for _ in 0..3.min(7 - answered) {
                asked.push(world.asked().await);
            }
            assert!(world.is_silent().await, "more at once than is allowed");
            for asked in asked.iter().rev() {
                world.reply(asked, json!({"result": asked["args"]["n"]})).await;
                answered += 1;
            }
        }
    };
    let (results, ()) = tokio::join!(session.call_many(requests), answer);
    let results: Vec<_> = results.into_iter().map(|result| result.unwrap().get().to_owned()).collect();
    assert_eq!(results, ["0", "1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn limits_hold_for_requests_and_for_bytes_each_way() {
    let mut world = World::new().await;
    let few = world.session("limits.rpc_requests = 2", cause());
    few.cast(asks("m", json!({})), false).await.unwrap();
    few.cast(asks("m", json!({})), false).await.unwrap();
    let limited = Err(Error::Limited("more than 2 requests (limits.rpc_requests)".to_owned()));
    assert_eq!(few.cast(asks("m", json!({})), false).await, limited);
    drop(few);

    let small = world.session("limits.rpc_bytes = \"100 B\"", cause());
    small.cast(asks("m", json!({"a": "x".repeat(50)})), false).await.unwrap();
    let limited = Err(Error::Limited("more than 100 B sent (limits.rpc_bytes)".to_owned()));
    assert_eq!(small.cast(asks("m", json!({"a": "x".repeat(50)})), false).await, limited);
    drop(small);

    let (run, mut ended) = crate::trace::recorded();
    let cause = Cause { spans: Spans { run, ..Spans::default() }, ..cause() };
    let small = world.session("limits.rpc_bytes = \"100 B\"", cause);
    let answer = async {
        let asked = world.asked().await;
        world.reply(&asked, json!({"result": "x".repeat(200)})).await;
    };
    let (called, ()) = tokio::join!(small.call(asks("m", json!({}))), answer);
    assert_eq!(called, Err(Error::Limited("more than 100 B received (limits.rpc_bytes)".to_owned())));
    let ended = ended();
    assert!(ended.len() == 1 && ended[0].contains("limited") && ended[0].contains("code: 2"), "{ended:?}");
    assert!(world.has_counted(r#"nova_host_limit_hits_total{handler="h",limit="rpc_bytes"} 2"#));
    assert!(world.has_counted(r#"nova_host_limit_hits_total{handler="h",limit="rpc_requests"} 1"#));
    assert!(world.is_silent().await);
}

#[test]
fn bytes_are_bounded_by_default() {
    assert_eq!(Allowance::default().bytes, Bytes(16 << 20));
}
