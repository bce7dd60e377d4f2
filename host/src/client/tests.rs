//! Stories of calls, over the broker in memory: the servers are ours, and say what they like.

use serde_json::{Value, json};

use super::*;
use crate::transport::{Deliveries, Disposition, Subscription, memory::Broker};

/// A client, and the server whose requests a test answers by hand.
pub(super) struct Line {
    pub(super) broker: Broker,
    pub(super) client: Client,
    deliveries: Deliveries,
}

/// A request, as the server reads it.
pub(super) struct Asked {
    pub(super) body: Value,
    broker: Broker,
}

pub(super) fn invocation(method: &str) -> Invocation {
    let target = Target::new("nova", "t");
    let (arguments, context) = (Text::of(&json!({"a": 1})), Context::default());
    Invocation { target, method: method.into(), arguments, context, origin: Provenance::default() }
}

impl Line {
    pub(super) async fn open() -> Self {
        let broker = Broker::default();
        let transport = Transport::Memory(broker.clone());
        let subscription = Subscription {
            exchange: "nova".into(),
            topics: vec!["t".into()],
            server: "s".into(),
            prefetch: 10_000,
            queue_prefix: String::new(),
        };
        let deliveries = transport.listen(subscription).await.unwrap();
        Self { broker, client: Client::new(transport), deliveries }
    }

    /// The next request.
    pub(super) async fn asked(&mut self) -> Asked {
        let delivery = self.deliveries.next().await.unwrap();
        delivery.settlement.settle(Disposition::Ack).await.unwrap();
        let outer: Value = serde_json::from_slice(&delivery.message.body).unwrap();
        let body = serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap();
        Asked { body, broker: self.broker.clone() }
    }

    /// Calls, and answers with these messages: objects to which the message id is added.
    pub(super) async fn exchange(&mut self, replies: &[Value], options: impl Into<CallOptions>) -> Result<Text, Error> {
        let client = std::mem::replace(&mut self.client, Client::new(Transport::Memory(Broker::default())));
        let answering = async {
            let asked = self.asked().await;
            replies.iter().for_each(|reply| asked.reply(reply.clone()));
        };
        let (outcome, ()) = tokio::join!(client.call(invocation("m"), options), answering);
        self.client = client;
        outcome
    }

    fn outstanding(&self) -> usize {
        self.client.replies.try_lock().unwrap().as_ref().map_or(0, |replies| replies.outstanding())
    }
}

impl Asked {
    /// Sends bytes to the caller's reply queue.
    pub(super) fn send(&self, body: &[u8], content_type: Option<&str>) {
        let queue = self.body["_reply_q"].as_str().unwrap().to_owned();
        let content_type = content_type.map(str::to_owned);
        let message = transport::Message { body: body.to_vec().into(), content_type, ..transport::Message::default() };
        self.broker.inject(&transport::Destination::Queue(queue), &message);
    }

    /// Sends an enveloped reply, whose message id is the call's unless it has another.
    pub(super) fn reply(&self, mut reply: Value) {
        if reply.get("_msg_id").is_none() {
            reply["_msg_id"] = self.body["_msg_id"].clone();
        }
        let outer = json!({"oslo.version": "2.0", "oslo.message": reply.to_string()});
        self.send(outer.to_string().as_bytes(), Some("application/json"));
    }

    fn beat(&self) {
        self.reply(json!({"result": null, "failure": null, "ending": false}));
    }

    fn end(&self, result: Value) {
        self.reply(json!({"result": result, "failure": null, "ending": true}));
    }
}

fn monitored(timeout: u64, monitor: u64) -> CallOptions {
    let (timeout, monitor) = (Duration::from_secs(timeout), Some(Duration::from_secs(monitor)));
    CallOptions { timeout, monitor, ..CallOptions::default() }
}

fn versioned(version: Option<&str>) -> Invocation {
    let mut invocation = invocation("m");
    invocation.target.version = version.map(str::to_owned);
    invocation
}

#[tokio::test]
async fn a_call_says_what_the_references_says_and_in_its_order() {
    let mut line = Line::open().await;
    let target =
        Target { namespace: Some("compute_task".into()), version: Some("1.5".into()), ..Target::new("nova", "t") };
    let context = Context::from_json(r#"{"user_id": "u"}"#).unwrap();
    let call = Invocation { target, context, ..invocation("m") };
    let calling = line.client.call(call, monitored(60, 30));
    tokio::pin!(calling);
    assert!(futures_util::FutureExt::now_or_never(&mut calling).is_none());
    let delivery = line.deliveries.next().await.unwrap();
    let outer: Value = serde_json::from_slice(&delivery.message.body).unwrap();
    let text = outer["oslo.message"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).unwrap();
    let (message_id, unique_id) = (body["_msg_id"].as_str().unwrap(), body["_unique_id"].as_str().unwrap());
    let queue = line.client.replies.lock().await.as_ref().unwrap().queue().to_owned();
    assert_eq!(
        text,
        format!(
            r#"{{"method": "m", "args": {{"a": 1}}, "namespace": "compute_task", "version": "1.5", "_msg_id": "{message_id}", "_reply_q": "{queue}", "_timeout": 30, "_unique_id": "{unique_id}", "_context_user_id": "u"}}"#
        )
    );
    let is_id = |id: &str| id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(is_id(message_id) && is_id(unique_id) && queue.strip_prefix("reply_").is_some_and(is_id));
}

#[tokio::test]
async fn a_cast_asks_for_no_reply_and_needs_no_reply_queue() {
    let mut line = Line::open().await;
    line.client.cast(invocation("m"), CallOptions::default()).await.unwrap();
    let asked = line.asked().await.body;
    assert!(line.client.replies.lock().await.is_none());
    let mut keys: Vec<_> = asked.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["_unique_id", "args", "method"]);
}

#[tokio::test]
async fn a_fanout_reaches_every_server_and_nobody_is_no_error() {
    let mut line = Line::open().await;
    let mut fanout = invocation("m");
    fanout.target.fanout = true;
    let mandatory = CallOptions { routing: Routing::Mandatory, ..CallOptions::default() };
    line.client.cast(fanout.clone(), mandatory).await.unwrap();
    assert_eq!(line.asked().await.body["method"], "m");
    fanout.target.topic = "nowhere".into();
    line.client.cast(fanout, mandatory).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_happens() {
    let line = Line::open().await;
    let capped = CallOptions { version_cap: Some("1.5".parse().unwrap()), ..CallOptions::default() };
    let mut fanout = invocation("m");
    fanout.target.fanout = true;
    let mut nowhere = invocation("m");
    nowhere.target.topic.clear();
    let cap = "It needs to be equal in major version and less than or equal in minor version as the specified version \
               cap 1.5.";
    for (call, expected) in [
        (fanout.clone(), "A call cannot be used with fanout:<Target exchange=nova, topic=t, fanout=True>".to_owned()),
        (nowhere.clone(), "A topic is required to send:<Target exchange=nova>".into()),
        (versioned(Some("1")), "Version must contain a major and minor integer. Got 1".into()),
        (versioned(Some("1.6")), format!("Requested message version, 1.6 is incompatible.  {cap}")),
        (versioned(None), format!("Requested message version, None is incompatible.  {cap}")),
    ] {
        assert_eq!(line.client.call(call.clone(), capped).await.unwrap_err().to_string(), expected);
        if !call.target.fanout {
            assert_eq!(line.client.cast(call, capped).await.unwrap_err().to_string(), expected);
        }
    }
    assert!(line.client.replies.lock().await.is_none());
    assert_eq!(line.broker.waiting("t"), Some(0));
    line.client.cast(versioned(Some("1.5")), capped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_undeliverable_where_that_was_asked_for_and_a_timeout_otherwise() {
    let line = Line::open().await;
    let mut nowhere = invocation("m");
    nowhere.target.server = Some("elsewhere".into());
    let mandatory = CallOptions { routing: Routing::Mandatory, ..CallOptions::default() };
    for outcome in [
        line.client.call(nowhere.clone(), mandatory).await.map(drop),
        line.client.cast(nowhere.clone(), mandatory).await,
    ] {
        match outcome {
            Err(Error::Undeliverable { exchange, key, .. }) => {
                assert_eq!((exchange.as_str(), key.as_str()), ("nova", "t.elsewhere"));
            }
            other => panic!("{other:?}"),
        }
    }
    line.client.cast(nowhere.clone(), CallOptions::default()).await.unwrap();
    let silence = line.client.call(nowhere, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(silence.to_string(), "no reply to m within 3s");
    assert_eq!(line.outstanding(), 0);
}

#[tokio::test]
async fn thousands_of_calls_are_outstanding_and_each_gets_its_own_answer() {
    const CALLS: usize = 3000;
    let mut line = Line::open().await;
    let client =
        std::sync::Arc::new(std::mem::replace(&mut line.client, Client::new(Transport::Memory(Broker::default()))));
    let calls: Vec<_> = (0..CALLS)
        .map(|n| {
            let client = std::sync::Arc::clone(&client);
            let call = Invocation { arguments: Text::of(&json!({"n": n})), ..invocation("m") };
            tokio::spawn(async move { client.call(call, CallOptions::default()).await })
        })
        .collect();
    let mut asked = Vec::new();
    while asked.len() < CALLS {
        asked.push(line.asked().await);
    }
    assert_eq!(client.replies.lock().await.as_ref().unwrap().outstanding(), CALLS);
    // The last first.
    for asked in asked.iter().rev() {
        asked.end(asked.body["args"]["n"].clone());
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), Text::of(&n));
    }
    assert_eq!(client.replies.lock().await.as_ref().unwrap().outstanding(), 0);
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_nothing_behind_and_its_reply_disturbs_nobody() {
    let mut line = Line::open().await;
    let client =
        std::sync::Arc::new(std::mem::replace(&mut line.client, Client::new(Transport::Memory(Broker::default()))));
    let dropped = tokio::spawn({
        let client = std::sync::Arc::clone(&client);
        async move { client.call(invocation("m"), CallOptions::default()).await }
    });
    let late = line.asked().await;
    assert_eq!(client.replies.lock().await.as_ref().unwrap().outstanding(), 1);
    dropped.abort();
    dropped.await.unwrap_err();
    assert_eq!(client.replies.lock().await.as_ref().unwrap().outstanding(), 0);
    late.end(json!("late"));
    late.reply(json!({"result": "value without an end", "failure": null}));
    line.client = std::sync::Arc::into_inner(client).unwrap();
    let answer = line.exchange(&[json!({"result": 1, "failure": null, "ending": true})], CallOptions::default()).await;
    assert_eq!(answer.unwrap().get(), "1");
    assert_eq!(line.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_call_alive_and_never_past_its_timeout() {
    let mut line = Line::open().await;
    let client = std::mem::replace(&mut line.client, Client::new(Transport::Memory(Broker::default())));
    let second = Duration::from_secs(1);

    // Six silences of three seconds, each shorter than four.
    let answering = async {
        let asked = line.asked().await;
        for _ in 0..6 {
            tokio::time::sleep(3 * second).await;
            asked.beat();
        }
        tokio::time::sleep(3 * second).await;
        asked.end(json!("in the end"));
    };
    let (outcome, ()) = tokio::join!(client.call(invocation("m"), monitored(60, 4)), answering);
    assert_eq!(outcome.unwrap().get(), r#""in the end""#);

    // One silence that is longer.
    let started = Instant::now();
    let answering = async {
        let asked = line.asked().await;
        tokio::time::sleep(3 * second).await;
        asked.beat();
    };
    let (outcome, ()) = tokio::join!(client.call(invocation("m"), monitored(60, 4)), answering);
    assert_eq!(outcome.unwrap_err().to_string(), "no heartbeat for m within 4s: its server has died, or it sends none");
    assert!((7 * second..8 * second).contains(&started.elapsed()), "{:?}", started.elapsed());

    // A server that beats for ever.
    let started = Instant::now();
    let beating = async {
        let asked = line.asked().await;
        loop {
            tokio::time::sleep(second).await;
            asked.beat();
        }
    };
    let outcome = tokio::select! {
        outcome = client.call(invocation("m"), monitored(10, 4)) => outcome,
        () = beating => unreachable!(),
    };
    assert_eq!(outcome.unwrap_err().to_string(), "no reply to m within 10s");
    assert!((10 * second..11 * second).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_is_longer_than_the_timeout_changes_nothing() {
    let line = Line::open().await;
    let outcome = line.client.call(invocation("m"), monitored(3, 1_000_000)).await;
    assert_eq!(outcome.unwrap_err().to_string(), "no reply to m within 3s");
    let forever = CallOptions { monitor: Some(Duration::MAX), ..CallOptions::from(Duration::ZERO) };
    let outcome = line.client.call(invocation("m"), forever).await;
    assert!(matches!(outcome, Err(Error::TimedOut { .. } | Error::NotSent { .. })), "{outcome:?}");
    let endless = tokio::time::timeout(Duration::from_secs(100), line.client.call(invocation("m"), Duration::MAX));
    endless.await.unwrap_err();
}

#[tokio::test]
async fn the_reply_queue_goes_with_the_client_unless_somebody_may_still_send_to_it() {
    let mut line = Line::open().await;
    let queue = |line: &Line| line.client.replies.try_lock().unwrap().as_ref().unwrap().queue().to_owned();
    let renewed = |line: &Line| Client::new(Transport::Memory(line.broker.clone()));

    line.exchange(&[json!({"result": 1, "failure": null, "ending": true})], CallOptions::default()).await.unwrap();
    let answered = queue(&line);
    let client = renewed(&line);
    std::mem::replace(&mut line.client, client).close().await;
    assert_eq!(line.broker.waiting(&answered), None);

    line.client.call(invocation("m"), Duration::from_millis(10)).await.unwrap_err();
    let given_up = queue(&line);
    let client = renewed(&line);
    std::mem::replace(&mut line.client, client).close().await;
    assert_eq!(line.broker.waiting(&given_up), Some(0));

    // Old servers send one more message after a failure.
    line.asked().await;
    line.exchange(&[json!({"result": null, "failure": "{}"})], CallOptions::default()).await.unwrap_err();
    let failed = queue(&line);
    let client = renewed(&line);
    std::mem::replace(&mut line.client, client).close().await;
    assert_eq!(line.broker.waiting(&failed), Some(0));
}
