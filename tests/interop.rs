//! Clients and servers of other ages: the oldest oslo.messaging there is, Havana's messages by hand, and the newest.
//!
//! Before oslo.messaging 4.0 a result was two messages, and before 9.2 a server answered through an exchange named like
//! the reply queue. The oldest release does both, and its client takes no result from a message that ends its call.

use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::{
    harness::{Broker, OsloClient, OsloServer, Release, Serve, Vhost, eventually, nova_host},
    oslo::serve,
};

/// A service, and a client of the oldest release.
struct Story {
    vhost: Vhost,
    host: Serve,
    client: OsloClient,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let host = serve(&vhost, "host-1", "grace_period = \"0s\"");
        let client = OsloClient::of(Release::Oldest, &vhost.url(), &[]);
        Self { vhost, host, client }
    }

    fn request(method: &str, args: Value) -> Value {
        json!({"topic": "conductor", "method": method, "args": args})
    }
}

/// What is inside an envelope.
fn open(body: &[u8]) -> Value {
    let outer: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(outer["oslo.version"], "2.0");
    serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON")
}

fn seal(message: &Value) -> Vec<u8> {
    json!({"oslo.version": "2.0", "oslo.message": message.to_string()}).to_string().into_bytes()
}

fn json_type() -> Value {
    json!({"content_type": "application/json", "content_encoding": "utf-8"})
}

/// Starts `nova-host` with these arguments, on this broker.
fn start(vhost: &Vhost, arguments: &[&str]) -> Child {
    let mut command = Command::new(nova_host());
    command.args(arguments).args(["--transport-url", &vhost.url()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn run(vhost: &Vhost, arguments: &[&str]) -> (Option<i32>, String) {
    finish(start(vhost, arguments))
}

/// The exit code and what was said.
fn finish(child: Child) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn the_oldest_client_gets_results_of_every_kind() {
    let story = Story::begin();
    for value in [json!(7), json!(null), json!("häß \u{1F600}"), json!({"list": [1, {"two": null}]}), json!(false)] {
        assert_eq!(story.client.call(Story::request("echo", json!({"value": value}))).expect("a result"), value);
    }
    let mut call = Story::request("context", json!({}));
    call["context"] = json!({"user_id": "u"});
    assert_eq!(story.client.call(call).expect("a result"), json!({"user_id": "u", "client_timeout": null}));
}

#[test]
fn the_oldest_client_raises_what_went_wrong() {
    let story = Story::begin();
    let fails = |method: &str, args: Value| *story.client.call(Story::request(method, args)).expect_err("it fails");
    assert_eq!(fails("divide", json!({"a": 1, "b": 0})).class, "ZeroDivisionError");
    let raised = fails("not_found", json!({"instance_id": "7"}));
    let remote = raised.remote.expect("a RemoteError");
    assert_eq!(
        (remote.exc_type.as_str(), &remote.value),
        ("InstanceNotFound", &json!("Instance 7 could not be found."))
    );
    assert_eq!(fails("nope", json!({})).remote.expect("a RemoteError").exc_type, "NoSuchMethod");

    let nova = OsloClient::of(Release::Oldest, &story.vhost.url(), &["nova.exception"]);
    let raised = nova.call(Story::request("not_found", json!({"instance_id": "7"}))).expect_err("it fails");
    assert!(raised.bases.iter().any(|base| base == "nova.exception.InstanceNotFound"), "{raised:?}");
    assert_eq!(raised.kwargs, json!({"instance_id": "7", "code": 404}));
}

#[test]
fn the_oldest_client_that_gives_up_is_served_again() {
    let story = Story::begin();
    let mut call = Story::request("loop_forever", json!({}));
    call["timeout"] = json!(1);
    assert_eq!(story.client.call(call).expect_err("it takes too long").class, "MessagingTimeout");
    let calls: Vec<_> =
        (0..20).map(|n| story.client.start_call(Story::request("add", json!({"a": n, "b": 1})))).collect();
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call.wait().outcome.expect("a result"), n + 1);
    }
}

#[test]
fn the_oldest_clients_casts_arrive_at_any_one_and_every_server() {
    let mut story = Story::begin();
    for (message, more) in
        [("to any", json!({})), ("to the one", json!({"server": "host-1"})), ("to everybody", json!({"fanout": true}))]
    {
        let mut cast = Story::request("log", json!({"level": "info", "message": message}));
        cast.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        story.client.cast(cast).expect("the broker has it");
        story.host.wait_for_log(message);
    }
}

#[test]
fn havanas_caller_gets_a_value_and_then_an_end() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "");
    vhost.declare_queue("reply_havana", &json!({}));
    // As Havana writes it: a namespace that is null, no _timeout, the time to live in a header.
    let call = |method: &str, args: Value| {
        json!({
            "method": method, "namespace": null, "args": args, "version": "1.0", "_msg_id": "m1", "_unique_id": "u1",
            "_context_user_id": "u", "_context_roles": ["admin"], "_reply_q": "reply_havana",
        })
    };
    let mut properties = json_type();
    properties["headers"] = json!({"ttl": 60_000});
    let ask = |request: &Value, queue: &str| {
        let mut request = request.clone();
        request["_unique_id"] = json!(format!("{queue}{}", request["method"]));
        assert!(vhost.publish("nova", "conductor", &properties, &seal(&request)));
        let mut replies: Vec<Value> = Vec::new();
        eventually("two replies", || {
            replies.extend(vhost.take(queue, 10).iter().map(|message| open(&message.body)));
            (replies.len() >= 2).then_some(())
        });
        assert_eq!(replies.len(), 2, "{replies:?}");
        assert!(replies.iter().all(|reply| reply["_msg_id"] == request["_msg_id"]), "{replies:?}");
        assert_ne!(replies[0]["_unique_id"], replies[1]["_unique_id"]);
        let end = replies.pop().expect("two");
        assert_eq!((&end["result"], &end["failure"], &end["ending"]), (&json!(null), &json!(null), &json!(true)));
        replies.remove(0)
    };
    let value = ask(&call("add", json!({"a": 1, "b": 2})), "reply_havana");
    assert_eq!((&value["result"], &value["failure"], &value["ending"]), (&json!(3), &json!(null), &json!(false)));
    let failed = ask(&call("divide", json!({"a": 1, "b": 0})), "reply_havana");
    let failure: Value = serde_json::from_str(failed["failure"].as_str().expect("text")).expect("JSON");
    assert_eq!((&failed["result"], &failure["class"]), (&json!(null), &json!("ZeroDivisionError")));
}

#[test]
fn the_oldest_server_answers_our_client() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::of(Release::Oldest, &vhost.url(), "oldest", "python-1");
    let run = |arguments: &[&str]| run(&vhost, &[arguments, &["--topic", "oldest"]].concat());
    assert_eq!(run(&["call", "add", r#"{"a": 1, "b": 2}"#]), (Some(0), "3\n".into()));
    assert_eq!(run(&["call", "--server", "python-1", "echo"]), (Some(0), "{}\n".into()));
    let context = run(&["call", "--context", r#"{"user_id": "u"}"#, "context"]);
    assert!(context.1.contains(r#""user_id": "u""#), "{context:?}");
    let missing = "nova-host: nova.exception.InstanceNotFound: Instance 7 could not be found.\n";
    assert_eq!(run(&["call", "not_found", r#"{"instance_id": "7"}"#]), (Some(1), missing.into()));
    assert_eq!(run(&["call", "fail", r#"{"message": "no"}"#]), (Some(1), "nova-host: ValueError: no\n".into()));
    assert_eq!(
        run(&["call", "--namespace", "compute_task", "--version", "2.0", "add", r#"{"a": 2, "b": 2}"#]),
        (Some(0), "4\n".into())
    );
    assert_eq!(run(&["cast", "--fanout", "echo", r#"{"value": 1}"#]).0, Some(0));
    // It publishes to a non-durable exchange, whatever our queue is.
    let quorum = ["call", "add", r#"{"a": 3, "b": 2}"#, "--set", "rabbit.rabbit_transient_quorum_queue=true"];
    assert_eq!(run(&quorum), (Some(0), "5\n".into()));
}

#[test]
fn a_result_that_is_null_comes_from_servers_of_both_ages() {
    let vhost = Broker::shared().vhost();
    for (release, topic) in [(Release::Oldest, "oldest"), (Release::Newest, "newest")] {
        let _server = OsloServer::of(release, &vhost.url(), topic, "python-1");
        assert_eq!(run(&vhost, &["call", "nothing", "--topic", topic]), (Some(0), "null\n".into()), "{release:?}");
    }
}

/// A service that only the test answers for.
struct ByHand {
    vhost: Vhost,
}

impl ByHand {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        vhost.declare_transient_exchange("nova", "topic");
        vhost.declare_queue("conductor", &json!({}));
        vhost.bind("nova", "conductor", "conductor");
        Self { vhost }
    }

    /// Calls, has Havana's server answer with these messages, and tells what the caller made of them.
    fn call(&self, replies: &[Value]) -> (Option<i32>, String) {
        let caller = start(&self.vhost, &["call", "m"]);
        let request = eventually("the request", || self.vhost.take("conductor", 1).pop());
        let request = open(&request.body);
        let queue = request["_reply_q"].as_str().expect("a reply queue");
        for reply in replies {
            let mut reply = reply.clone();
            reply["_msg_id"] = request["_msg_id"].clone();
            assert!(self.vhost.publish(queue, queue, &json_type(), &seal(&reply)), "no queue is bound to {queue}");
        }
        finish(caller)
    }
}

#[test]
fn havanas_server_answers_our_client() {
    let server = ByHand::begin();
    let value = |value: Value| json!({"result": value, "failure": null});
    let end = json!({"result": null, "failure": null, "ending": true});
    assert_eq!(server.call(&[value(json!(7)), end.clone()]), (Some(0), "7\n".into()));
    assert_eq!(server.call(&[value(json!(null)), end.clone()]), (Some(0), "null\n".into()));
    assert_eq!(server.call(&[value(json!(1)), value(json!(2)), value(json!(3)), end]), (Some(0), "3\n".into()));
    let failure =
        r#"{"class": "ValueError", "module": "exceptions", "message": "no", "tb": [], "args": [], "kwargs": {}}"#;
    let failed = server.call(&[json!({"result": null, "failure": failure})]);
    assert_eq!(failed, (Some(1), "nova-host: ValueError: no\n".into()));
}

#[test]
fn a_caller_leaves_neither_queue_nor_exchange_behind() {
    let server = ByHand::begin();
    let answer = json!({"result": 7, "failure": null, "ending": true});
    assert_eq!(server.call(&[answer]), (Some(0), "7\n".into()));
    let queues: Vec<_> = server.vhost.queues().into_keys().collect();
    assert_eq!((queues, server.vhost.exchanges()), (vec!["conductor".to_owned()], vec!["nova".to_owned()]));
}
