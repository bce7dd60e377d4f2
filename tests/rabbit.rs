//! The service and its broker: topology, back-pressure, messages that make no sense, and every way to lose a connection.

use std::time::Duration;

use serde_json::json;

use crate::{
    harness::{Broker, OsloClient, Queue, Serve, Vhost, eventually, handlers, repository},
    oslo::{configuration, serve},
};

fn add(n: usize) -> serde_json::Value {
    json!({"topic": "conductor", "method": "add", "args": {"a": n, "b": 1}, "timeout": 60})
}

fn is_idle(queue: &Queue) -> bool {
    queue.ready == 0 && queue.unacknowledged == 0
}

fn is_idle_but_for_what_waits(queue: &Queue) -> bool {
    queue.unacknowledged == 0 && queue.consumers == 0
}

#[test]
fn the_queues_are_oslo_messagings_and_the_fanout_queue_goes_with_the_service() {
    let vhost = Broker::shared().vhost();
    let mut host = serve(&vhost, "host.example.org", "");
    let names: Vec<String> = vhost.queues().into_keys().collect();
    assert_eq!(names[..2], ["conductor".to_owned(), "conductor.host.example.org".to_owned()]);
    let suffix = names[2].strip_prefix("conductor_fanout_").expect("a fanout queue");
    assert!(suffix.len() == 32 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()), "{suffix}");
    vhost.wait_for_consumer("conductor");

    assert!(host.stop().success());
    assert!(host.log().contains("stopped"));
    let names: Vec<String> = vhost.queues().into_keys().collect();
    assert_eq!(names, ["conductor", "conductor.host.example.org"]);
}

#[test]
fn several_topics_are_served_at_once() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "topics = [\"conductor\", \"other\"]");
    let client = OsloClient::start(&vhost.url());
    for topic in ["conductor", "other"] {
        let call = json!({"topic": topic, "method": "add", "args": {"a": 1, "b": 2}});
        assert_eq!(client.call(call).expect("a result"), 3);
    }
}

#[test]
fn what_cannot_be_decoded_goes_to_the_dead_letter_exchange_and_the_rest_is_served() {
    let vhost = Broker::shared().vhost();
    vhost.declare_queue("dead", &json!({}));
    let dead_letters = json!({"dead-letter-exchange": "", "dead-letter-routing-key": "dead"});
    vhost.set_policy("dead", "^conductor$", &dead_letters);
    let mut host = serve(&vhost, "host-1", "");
    let json_type = json!({"content_type": "application/json"});
    let bad: [(&[u8], _); 5] = [
        (b"\xff\xfe", &json_type),
        (b"[1, 2]", &json_type),
        (br#"{"oslo.version": "3.0", "oslo.message": "{}"}"#, &json_type),
        (br#"{"oslo.version": "2.0", "oslo.message": "nonsense"}"#, &json_type),
        (br#"{"method": "add"}"#, &json!({"content_type": "text/plain"})),
    ];
    for (body, properties) in bad {
        assert!(vhost.publish("nova", "conductor", properties, body));
    }
    vhost.eventually("dead", |queue| queue.ready == bad.len() as u64);
    host.wait_for_log("message cannot be decoded, rejected");
    assert_eq!(OsloClient::start(&vhost.url()).call(add(1)).expect("a result"), 2);
    vhost.eventually("conductor", is_idle);
}

#[test]
fn odd_requests_are_refused_as_the_reference_refuses_them() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "");
    vhost.declare_queue("reply_test", &json!({}));
    for (request, expected) in [
        (json!({"args": {}}), "TypeError: attribute name must be string, not 'NoneType'"),
        (json!({"method": 7}), "TypeError: attribute name must be string, not 'int'"),
        (json!({"method": "add", "args": null}), "AttributeError: 'NoneType' object has no attribute 'items'"),
        (json!({"method": "add", "args": []}), "AttributeError: 'list' object has no attribute 'items'"),
        (json!({"method": "add", "version": 1}), "AttributeError: 'int' object has no attribute 'split'"),
        (json!({"method": "add", "version": "1"}), "IndexError: list index out of range"),
        (json!({"method": "add", "version": "a.b"}), "ValueError: invalid literal for int() with base 10: 'a'"),
    ] {
        let mut request = request;
        request["_msg_id"] = json!("i");
        request["_reply_q"] = json!("reply_test");
        request["_timeout"] = json!(null);
        let json_type = json!({"content_type": "application/json"});
        assert!(vhost.publish("nova", "conductor", &json_type, request.to_string().as_bytes()));
        let reply = eventually("the reply", || vhost.take("reply_test", 1).pop());
        let outer: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let inner: serde_json::Value =
            serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON");
        let failure: serde_json::Value = serde_json::from_str(inner["failure"].as_str().expect("text")).expect("JSON");
        let shown =
            format!("{}: {}", failure["class"].as_str().unwrap_or("?"), failure["message"].as_str().unwrap_or("?"));
        assert_eq!((shown.as_str(), &failure["module"]), (expected, &json!("builtins")));
    }
}

#[test]
fn a_log_line_cannot_be_forged() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "");
    let client = OsloClient::start(&vhost.url());
    let forged = "2026 ERROR forged";
    let call = |method: &str, args: serde_json::Value| json!({"topic": "conductor", "method": method, "args": args});
    client.call(call(&format!("x\n{forged}"), json!({}))).expect_err("no such method");
    let message = format!("x\n{forged}");
    client.call(call("fail", json!({"class": "ValueError", "message": message}))).expect_err("it fails");
    client.call(call("log", json!({"level": "info", "message": message}))).expect("a result");
    let log = host.log();
    assert!(log.matches(forged).count() >= 3, "{log}");
    assert!(!log.lines().any(|line| line.starts_with(forged)), "{log}");
}

#[test]
fn the_broker_sees_our_back_pressure() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "max_in_flight = 2\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"");
    let client = OsloClient::start(&vhost.url());
    for _ in 0..10 {
        client.cast(json!({"topic": "conductor", "method": "loop_forever"})).expect("the broker has it");
    }
    vhost.eventually("conductor", |queue| (queue.ready, queue.unacknowledged) == (8, 2));
    // Nothing is lost when the service ends without having finished.
    drop(host);
    vhost.eventually("conductor", |queue| (queue.ready, queue.unacknowledged) == (10, 0));
}

#[test]
fn a_lost_connection_is_made_again_and_no_call_is_lost() {
    let vhost = Broker::shared().vhost();
    let mut host = serve(&vhost, "host-1", "");
    let client = OsloClient::start(&vhost.url());
    assert_eq!(client.call(add(0)).expect("a result"), 1);
    let calls: Vec<_> = (0..200).map(|n| client.start_call(add(n))).collect();
    eventually("connections", || Some(vhost.close_connections()).filter(|closed| *closed >= 2));
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.wait().outcome.expect("a result"), n + 1);
    }
    // However often it came back, it came back to the same queues: three of its own, and one for the caller's replies.
    assert_eq!(vhost.queues().len(), 4, "{:?}", vhost.queues());
    assert!(host.stop().success());
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let mut host = serve(&vhost, "host-1", "");
    broker.restart();
    vhost.wait_for_consumer("conductor");
    assert_eq!(OsloClient::start(&vhost.url()).call(add(1)).expect("a result"), 2);
    // Stopping works while there is no broker at all.
    broker.kill();
    host.wait_for_log("lost");
    assert!(host.stop().success());
}

#[test]
fn a_service_that_is_told_to_stop_finishes_and_gives_the_rest_back() {
    let vhost = Broker::shared().vhost();
    let mut first = serve(&vhost, "host-1", "max_in_flight = 4\nlimits.timeout = \"1s\"");
    let client = OsloClient::start(&vhost.url());
    let slow = json!({"topic": "conductor", "method": "loop_forever", "timeout": 60});
    let calls: Vec<_> = (0..8).map(|_| client.start_call(slow.clone())).collect();
    vhost.eventually("conductor", |queue| queue.unacknowledged == 4);
    assert!(first.stop().success());
    // Whatever was in flight has been finished, and nothing else: what the broker had delivered and the host had not
    // taken yet is given back.
    let finished = first.log().matches("timed_out").count() as u64;
    assert!((1..8).contains(&finished), "{finished}");
    vhost.eventually("conductor", |queue| queue.ready == 8 - finished && is_idle_but_for_what_waits(queue));
    // The next server answers the others.
    let _second = serve(&vhost, "host-2", "limits.timeout = \"100ms\"");
    for call in calls {
        let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, "HandlerTimedOut");
    }
}

#[test]
fn a_killed_service_loses_nothing() {
    let vhost = Broker::shared().vhost();
    let mut first = serve(&vhost, "host-1", "max_in_flight = 8\nlimits.timeout = \"600s\"");
    let client = OsloClient::start(&vhost.url());
    let slow = json!({"topic": "conductor", "method": "loop_forever", "timeout": 60});
    let running: Vec<_> = (0..8).map(|_| client.start_call(slow.clone())).collect();
    vhost.eventually("conductor", |queue| queue.unacknowledged == 8);
    let waiting: Vec<_> = (0..100).map(|n| client.start_call(add(n))).collect();
    first.kill();
    // What it was running, and what it had not come to: all of it is the next server's.
    let _second = serve(&vhost, "host-2", "limits.timeout = \"200ms\"");
    for call in running {
        let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, "HandlerTimedOut");
    }
    for (n, call) in waiting.into_iter().enumerate() {
        assert_eq!(call.wait().outcome.expect("a result"), n + 1);
    }
}

#[test]
fn a_second_signal_ends_the_wait() {
    let vhost = Broker::shared().vhost();
    let mut host =
        serve(&vhost, "host-1", "limits.timeout = \"600s\"\ngrace_period = \"600s\"\nmetrics.listen = \"127.0.0.1:0\"");
    let client = OsloClient::start(&vhost.url());
    client.cast(json!({"topic": "conductor", "method": "loop_forever"})).expect("the broker has it");
    // Delivered is not yet begun, and what has not begun is given back at once.
    let runs = |host: &Serve| host.metrics().contains("nova_host_requests_running{handler=\"calculator\"} 1");
    eventually("a request that runs", || runs(&host).then_some(()));
    host.signal("INT");
    host.wait_for_log("stopping");
    assert!(host.wait(Duration::from_millis(300)).is_none());
    host.signal("INT");
    assert!(host.wait(Duration::from_secs(20)).is_some_and(|status| status.success()));
    vhost.eventually("conductor", |queue| queue.ready == 1);
}

/// Runs a service that does not come up, and returns its exit code and what it said.
fn refused(url: &str) -> (Option<i32>, String) {
    let directory = handlers().display().to_string();
    let mut host = Serve::unready(["--transport-url", url, "--handlers", &directory]);
    let code = host.wait(Duration::from_secs(30)).and_then(|status| status.code());
    (code, host.log().into())
}

#[test]
fn a_broker_that_refuses_ends_the_service_with_what_to_do() {
    let vhost = Broker::shared().vhost();
    let url = vhost.url();
    let (code, log) = refused(&url.replace("guest:guest", "guest:hunter2"));
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("refuses") && !log.contains("hunter2"), "{log}");
    let (code, log) = refused(&format!("{url}-missing"));
    assert_eq!(code, Some(4), "{log}");
    vhost.declare_queue("conductor", &json!({"x-expires": 60_000}));
    let (code, log) = refused(&url);
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("conductor"), "{log}");
}

#[test]
fn a_broker_that_is_down_is_waited_for_and_can_be_given_up() {
    let directory = handlers().display().to_string();
    let mut host = Serve::unready(["--transport-url", "rabbit://127.0.0.1:9/", "--handlers", &directory]);
    host.wait_for_log("127.0.0.1:9");
    assert!(host.wait(Duration::from_millis(200)).is_none());
    assert!(host.stop().success());
}

#[test]
fn a_client_says_whether_the_broker_or_the_reply_is_missing() {
    let run = |arguments: &[&str], timeout: &str| {
        let mut command = std::process::Command::new(crate::harness::nova_host());
        let ran = command.args(arguments).args(["--timeout", timeout]).output().expect("it runs");
        let last = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().to_owned();
        (ran.status.code(), last)
    };
    for command in ["call", "cast"] {
        let (code, text) = run(&[command, "add", "--transport-url", "rabbit://127.0.0.1:9/"], "500ms");
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains("the broker did not take add within 500ms"), "{text}");
    }
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "grace_period = \"0s\"");
    // Long enough for a busy machine to connect and publish.
    let (code, text) = run(&["call", "loop_forever", "--transport-url", &vhost.url()], "10s");
    assert_eq!((code, text.as_str()), (Some(5), "nova-host: no reply to loop_forever within 10s"));
}

#[test]
fn a_topic_that_nobody_serves_is_said() {
    let vhost: Vhost = Broker::shared().vhost();
    let mut command = std::process::Command::new(crate::harness::nova_host());
    let ran =
        command.args(["call", "add", "--topic", "nowhere", "--transport-url", &vhost.url()]).output().expect("runs");
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("nobody serves topic nowhere on nova"), "{ran:?}");
}

#[test]
fn nova_s_recorded_ping_gets_novas_recorded_answer() {
    let vhost = Broker::shared().vhost();
    let _host = Serve::with_config(&configuration(&vhost, "host-1", ""));
    let recorded =
        std::fs::read_to_string(repository().join("tests/golden/nova/01-baseapi-ping.json")).expect("it is there");
    let recorded: serde_json::Value = serde_json::from_str(&recorded).expect("JSON");
    let frames = recorded["client_connection_frames"].as_array().expect("frames");
    let body = |frame: usize| frames[frame]["body"].as_str().expect("a body");
    vhost.declare_queue("reply_c3a80c79cfaf400facc4fe24d3006db1", &json!({}));
    let json_type = json!({"content_type": "application/json", "content_encoding": "utf-8"});
    assert!(vhost.publish("nova", "conductor", &json_type, body(0).as_bytes()));
    let reply = eventually("the reply", || vhost.take("reply_c3a80c79cfaf400facc4fe24d3006db1", 1).pop());
    let message = |text: &str| -> serde_json::Value {
        let outer: serde_json::Value = serde_json::from_str(text).expect("JSON");
        serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON")
    };
    let mut ours = message(&String::from_utf8_lossy(&reply.body));
    let theirs = message(body(1));
    assert_ne!(ours["_unique_id"], theirs["_unique_id"]);
    ours["_unique_id"] = theirs["_unique_id"].clone();
    assert_eq!(ours, theirs);
    assert_eq!(reply.properties, frames[1]["properties"]);
}
