//! Replies, to the byte: what a caller's client finds on its queue.

use serde_json::{Value, json};

use super::{REPLIES, Wire, enveloped, inner, json_type};

/// A call with this member of the inner object, which asks for heartbeats or does not.
fn call(method: &str, args: Value, timeout: Value) -> Value {
    json!({"method": method, "args": args, "_msg_id": "i", "_reply_q": REPLIES, "_timeout": timeout})
}

/// A reply's text with its own unique id replaced by `U`.
fn anonymous(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).expect("text");
    let id = inner(body)["_unique_id"].as_str().expect("text").to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{id}");
    text.replace(&id, "U")
}

#[test]
fn a_result_is_the_references_to_the_byte() {
    let wire = Wire::begin();
    for (args, result) in [(json!({"value": 3}), "3"), (json!({"value": null}), "null"), (json!({"value": []}), "[]")] {
        wire.send(&call("echo", args, json!(null)));
        let reply = wire.next_on(REPLIES);
        let expected = format!(
            r#"{{"oslo.version": "2.0", "oslo.message": "{{\"result\": {result}, \"failure\": null, \"ending\": true, \"_msg_id\": \"i\", \"_unique_id\": \"U\"}}"}}"#
        );
        assert_eq!(anonymous(&reply.body), expected);
        assert_eq!((reply.exchange.as_str(), reply.routing_key.as_str()), ("", REPLIES));
        let mut properties = json_type();
        properties["delivery_mode"] = json!(2);
        properties["priority"] = json!(0);
        assert_eq!(reply.properties, properties);
    }
}

#[test]
fn a_failure_is_a_document_in_the_references_form() {
    let wire = Wire::begin();
    wire.send(&call("nope", json!({}), json!(null)));
    let reply = wire.next_on(REPLIES);
    let failure = inner(&reply.body)["failure"].as_str().expect("a string").to_owned();
    // Keys, order and separators; without frames of ours, a traceback is its first line and its last.
    assert_eq!(
        failure,
        concat!(
            r#"{"class": "NoSuchMethod", "module": "oslo_messaging.rpc.dispatcher", "#,
            r#""message": "Endpoint does not support RPC method nope", "#,
            r#""tb": ["Traceback (most recent call last):\n", "#,
            r#""oslo_messaging.rpc.dispatcher.NoSuchMethod: Endpoint does not support RPC method nope\n"], "#,
            r#""args": ["Endpoint does not support RPC method nope"], "kwargs": {}}"#
        )
    );
    let expected = format!(
        r#"{{"oslo.version": "2.0", "oslo.message": {}}}"#,
        json!(format!(
            r#"{{"result": null, "failure": {}, "ending": true, "_msg_id": "i", "_unique_id": "U"}}"#,
            json!(failure)
        ))
    );
    assert_eq!(anonymous(&reply.body), expected);
}

#[test]
fn a_handlers_own_exception_passes_with_its_arguments() {
    let wire = Wire::begin();
    let failure = |method: &str, args: Value| wire.call(json!({"method": method, "args": args})).expect_err("it fails");
    let own = failure("not_found", json!({"instance_id": "7"}));
    assert_eq!((&own["module"], &own["class"]), (&json!("nova.exception"), &json!("InstanceNotFound")));
    assert_eq!(own["message"], "Instance 7 could not be found.");
    assert_eq!(own["args"], json!(["Instance 7 could not be found."]));
    assert_eq!(own["kwargs"], json!({"instance_id": "7", "code": 404}));
    let builtin = failure("fail", json!({"class": "KeyError", "message": "k", "args": ["k", 2]}));
    assert_eq!((&builtin["module"], &builtin["args"]), (&json!("builtins"), &json!(["k", 2])));
    for (failure, last) in
        [(&own, "nova.exception.InstanceNotFound: Instance 7 could not be found.\n"), (&builtin, "KeyError: k\n")]
    {
        let traceback: Vec<&str> =
            failure["tb"].as_array().expect("a list").iter().map(|line| line.as_str().expect("text")).collect();
        assert_eq!(traceback.first(), Some(&"Traceback (most recent call last):\n"));
        assert_eq!(traceback.last(), Some(&last));
        assert!(traceback.iter().all(|line| line.ends_with('\n')), "{traceback:?}");
    }
}

#[test]
fn a_relayed_error_loses_its_suffix() {
    let wire = Wire::begin();
    let relayed = json!({"class": "NotFound_Remote", "module": "nova.exception_Remote", "message": "gone"});
    let failure = wire.call(json!({"method": "fail", "args": relayed})).expect_err("it fails");
    assert_eq!((&failure["module"], &failure["class"]), (&json!("nova.exception"), &json!("NotFound")));
}

#[test]
fn heartbeats_come_to_who_asked_for_them_and_stop_before_the_reply() {
    let wire = Wire::begin_with("", "limits.timeout = \"2500ms\"");
    for (timeout, beats) in [
        (json!(2), true),
        (json!("2"), true),
        (json!(2.9), true),
        (json!(1), false),
        (json!(null), false),
        (json!(0), false),
        (json!("soon"), false),
        (json!([2]), false),
        (json!({"a": 2}), false),
        (json!(true), false),
    ] {
        wire.send(&call("loop_forever", json!({}), timeout.clone()));
        let mut before = 0;
        let end = loop {
            let reply = wire.next_on(REPLIES);
            let message = inner(&reply.body);
            if message["ending"] == true {
                break message;
            }
            let expected = format!(
                r#"{{"oslo.version": "2.0", "oslo.message": {}}}"#,
                json!(r#"{"result": null, "failure": null, "ending": false, "_msg_id": "i", "_unique_id": "U"}"#)
            );
            assert_eq!(anonymous(&reply.body), expected, "_timeout {timeout}");
            before += 1;
        };
        assert_eq!(before > 0, beats, "_timeout {timeout}: {before}");
        assert!(end["failure"].as_str().is_some_and(|failure| failure.contains("HandlerTimedOut")), "{end}");
    }
    let log = wire.host.log();
    assert_eq!(log.matches("call monitor timeout is invalid").count(), 5, "1, soon, [2], {{…}} and true: {log}");
}

#[test]
fn what_is_refused_gets_one_reply_and_no_heartbeat() {
    let wire = Wire::begin();
    for message in [
        call("nope", json!({}), json!(2)),
        {
            let mut unsupported = call("add", json!({}), json!(2));
            unsupported["version"] = json!("9.0");
            unsupported
        },
        {
            let mut malformed = call("add", json!({}), json!(2));
            malformed["version"] = json!("x.y");
            malformed
        },
        call("add", json!(null), json!(2)),
    ] {
        wire.send(&message);
        let reply = wire.reply();
        assert_eq!(reply["ending"], true, "{reply}");
        assert!(reply["failure"].is_string(), "{reply}");
    }
    // A call that takes longer than their heartbeats would: what comes first is its own.
    wire.send(&json!({
        "method": "echo", "args": {"value": "last"}, "_msg_id": "last", "_reply_q": REPLIES, "_timeout": null,
    }));
    assert_eq!(wire.reply()["_msg_id"], "last");
    wire.settled();
    assert!(wire.vhost.take(REPLIES, 1).is_empty());
}

#[test]
fn a_missing_reply_queue_is_waited_for_and_holds_nobody_up() {
    let mut wire = Wire::begin_with("", "max_in_flight = 1");
    let mut lost = call("echo", json!({"value": "late"}), json!(null));
    lost["_reply_q"] = json!("reply_gone");
    wire.put(enveloped(&lost.to_string()).as_bytes(), &json_type());
    wire.host.wait_for_log("it is missing");
    // There is one place for requests, and it is free.
    assert_eq!(wire.call(json!({"method": "add", "args": {"a": 1, "b": 2}})).expect("a result"), 3);
    wire.settled();
    wire.vhost.declare_queue("reply_gone", &json!({}));
    assert_eq!(inner(&wire.next_on("reply_gone").body)["result"], "late");
    // And who is back is answered at once.
    wire.put(enveloped(&lost.to_string()).as_bytes(), &json_type());
    assert_eq!(inner(&wire.next_on("reply_gone").body)["result"], "late");
}
