//! What becomes of a message before anybody is asked: answered, acknowledged, or rejected without requeueing.

use serde_json::{Value, json};

use super::{REJECTED, REPLIES, Wire, enveloped, inner, json_type};
use crate::harness::repository;
use nova_host::compression::Compression;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    /// It is handled: the result of `echo`, or the class of a failure.
    Answered(Value),
    /// It is acknowledged, and there is nobody to answer.
    Acknowledged,
    /// It goes to the dead-letter exchange.
    Rejected,
}

/// A row: the name that the recorded session has for it (or one of our own), the bytes, what else differs.
type Row = (&'static str, Vec<u8>, Value, Fate);

/// A call of `echo`, which answers `v`, with members of its own.
fn call(more: Value) -> String {
    let mut message = json!({
        "method": "echo", "args": {"value": "v"}, "_msg_id": "i", "_reply_q": REPLIES, "_timeout": null,
    });
    for (key, value) in more.as_object().expect("an object") {
        message[key] = value.clone();
    }
    message.to_string()
}

/// A call without a member.
fn call_without(key: &str) -> String {
    let mut message: Value = serde_json::from_str(&call(json!({}))).expect("JSON");
    message.as_object_mut().expect("an object").remove(key);
    message.to_string()
}

fn version(version: Value) -> Vec<u8> {
    json!({"oslo.version": version, "oslo.message": call(json!({}))}).to_string().into()
}

fn answered() -> Fate {
    Fate::Answered(json!("v"))
}

fn failed(class: &str) -> Fate {
    Fate::Answered(json!(class))
}

/// The envelope, and what it holds.
fn envelopes() -> Vec<Row> {
    let row = |name, body: Vec<u8>, fate| (name, body, json_type(), fate);
    let plain = |name, body: String, fate| row(name, body.into_bytes(), fate);
    let rejected = Fate::Rejected;
    vec![
        plain("normal", enveloped(&call(json!({}))), answered()),
        row("version 2.0.0", version(json!("2.0.0")), answered()),
        row("envelope-version-1.0", version(json!("1.0")), rejected.clone()),
        row("version 1.9", version(json!("1.9")), rejected.clone()),
        row("envelope-version-2.1", version(json!("2.1")), rejected.clone()),
        row("version 2.0.1", version(json!("2.0.1")), rejected.clone()),
        row("envelope-version-3.0", version(json!("3.0")), rejected.clone()),
        row("version 2", version(json!("2")), rejected.clone()),
        row("version x", version(json!("x")), rejected.clone()),
        row("version a number", version(json!(2.0)), rejected.clone()),
        plain("message an object", json!({"oslo.version": "2.0", "oslo.message": {}}).to_string(), rejected.clone()),
        plain("no-envelope-bare-dict", call(json!({})), answered()),
        plain("only a version", call(json!({"oslo.version": "3.0"})), answered()),
        plain("only a message", call(json!({"oslo.message": "x"})), answered()),
        plain(
            "extra keys",
            json!({"x": 1, "oslo.version": "2.0", "oslo.message": call(json!({}))}).to_string(),
            answered(),
        ),
        plain("json-not-object", "[1, 2]".into(), rejected.clone()),
        plain("a string", "\"x\"".into(), rejected.clone()),
        plain("not-json", "this is not json".into(), rejected.clone()),
        plain("oslo.message-not-json", enveloped("nonsense"), rejected.clone()),
        plain("inner array", enveloped("[1, 2]"), rejected.clone()),
        row("empty-body", Vec::new(), Fate::Acknowledged),
        plain("byte order mark", format!("\u{feff}{}", enveloped(&call(json!({})))), rejected.clone()),
        row("not UTF-8", b"{\"method\": \"\xff\"}".to_vec(), rejected.clone()),
        plain("typed", call(json!({"args": {"value": {"__type__": "bytes", "__value__": "v"}}})), answered()),
        plain("unknown type", call(json!({"args": {"value": {"__type__": "x", "__value__": "v"}}})), rejected),
        plain(
            "typed in an envelope",
            enveloped(&call(json!({"args": {"value": {"__type__": "x", "__value__": "v"}}}))),
            Fate::Answered(json!({"__type__": "x", "__value__": "v"})),
        ),
    ]
}

/// Keys of the inner object.
fn keys() -> Vec<Row> {
    let row = |name, message: String, fate| (name, enveloped(&message).into_bytes(), json_type(), fate);
    vec![
        row("no-method", call_without("method"), failed("TypeError")),
        row("args-null", call(json!({"args": null})), failed("AttributeError")),
        row("args-list", call(json!({"args": []})), failed("AttributeError")),
        row("no args", call_without("args").replace("echo", "served_by"), Fate::Answered(json!("1.3"))),
        row("no-version", call(json!({})), answered()),
        row("version-junk", call(json!({"version": "abc"})), failed("ValueError")),
        row("version-int", call(json!({"version": 1})), failed("AttributeError")),
        row("version null", call(json!({"version": null})), failed("UnsupportedVersion")),
        row("namespace-null-explicit", call(json!({"namespace": null})), answered()),
        row("namespace empty", call(json!({"namespace": ""})), failed("UnsupportedVersion")),
        row("no-unique-id", call(json!({})), answered()),
        row("unique-id-first", call(json!({"_unique_id": "same"})), answered()),
        row("unique-id-duplicate", call(json!({"_unique_id": "same"})), Fate::Acknowledged),
        row("extra-keys", call(json!({"x": 1, "_y": {"z": []}})), answered()),
        row("message id empty", call(json!({"_msg_id": ""})), Fate::Acknowledged),
        row("a cast", call_without("_msg_id"), Fate::Acknowledged),
    ]
}

/// AMQP properties.
fn properties() -> Vec<Row> {
    let body = || enveloped(&call(json!({}))).into_bytes();
    let row = |name, properties: Value, fate| (name, body(), properties, fate);
    let kind = |content_type: &str| json!({"content_type": content_type});
    let compressed = |header: &str| json!({"content_type": "application/json", "headers": {"compression": header}});
    let compress = |compression: Compression| compression.compress(&body()).expect("it compresses");
    let cut = |mut body: Vec<u8>| {
        body.pop();
        body
    };
    let bomb = Compression::Gzip.compress(&vec![b' '; nova_host::envelope::MAX_BODY + 1]).expect("it compresses");
    vec![
        row("no-content-type", json!({}), Fate::Rejected),
        row("content-type-text", kind("text/plain"), Fate::Rejected),
        row("content type with a charset", kind("application/json; charset=utf8"), Fate::Rejected),
        row("content-type-octet", kind("application/octet-stream"), Fate::Rejected),
        row("content type msgpack", kind("application/x-msgpack"), Fate::Rejected),
        row("no-encoding", kind("application/json"), answered()),
        row("no-headers", json!({"content_type": "application/json", "content_encoding": "utf-8"}), answered()),
        row(
            "properties that mean nothing here",
            json!({
                "content_type": "application/json", "correlation_id": "c", "app_id": "a", "delivery_mode": 1,
                "message_id": "m", "reply_to": "r", "headers": {"ttl": 1000, "x": {"y": 1}},
            }),
            answered(),
        ),
        row("compression-unknown", compressed("application/x-nonsense"), answered()),
        ("zlib-compressed", compress(Compression::Gzip), compressed("application/x-gzip"), answered()),
        ("bz2-compressed", compress(Compression::Bzip2), compressed("application/x-bz2"), answered()),
        ("xz", compress(Compression::Lzma), compressed("application/x-lzma"), answered()),
        ("zlib, cut", cut(compress(Compression::Gzip)), compressed("application/x-gzip"), Fate::Rejected),
        ("bzip2, cut", cut(compress(Compression::Bzip2)), compressed("application/x-bz2"), Fate::Rejected),
        ("xz, cut", cut(compress(Compression::Lzma)), compressed("application/x-lzma"), Fate::Rejected),
        ("compressed otherwise", compress(Compression::Gzip), compressed("application/zstd"), Fate::Rejected),
        ("compressed without a header", compress(Compression::Gzip), json_type(), Fate::Rejected),
        ("a bomb", bomb, compressed("application/x-gzip"), Fate::Rejected),
    ]
}

/// What the reference did with the message of that name in the recorded session.
fn recorded(name: &str) -> Option<Fate> {
    let summary = std::fs::read_to_string(repository().join("tests/golden/edge/summary.json")).expect("it is there");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let row = summary.get(name)?;
    if row["server_frames"] == json!(["Basic.Reject(requeue=False)"]) {
        return Some(Fate::Rejected);
    }
    assert_eq!(row["server_frames"], json!(["Basic.Ack"]), "{name}");
    let reply = row["replies"].get(0);
    Some(reply.map_or(Fate::Acknowledged, |reply| match &reply["failure"]["class"] {
        Value::Null => Fate::Answered(reply["result"].clone()),
        class => Fate::Answered(class.clone()),
    }))
}

/// Puts a row's message before the service and sees what becomes of it.
fn fate(wire: &Wire, body: &[u8], properties: &Value, expected: &Fate) -> Fate {
    wire.put(body, properties);
    match expected {
        Fate::Answered(_) => {
            let reply = inner(&wire.next_on(REPLIES).body);
            match reply["failure"].as_str() {
                None => Fate::Answered(reply["result"].clone()),
                Some(failure) => {
                    let failure: Value = serde_json::from_str(failure).expect("JSON");
                    Fate::Answered(failure["class"].clone())
                }
            }
        }
        Fate::Rejected => {
            assert_eq!(wire.next_on(REJECTED).body, body);
            Fate::Rejected
        }
        Fate::Acknowledged => {
            wire.settled();
            Fate::Acknowledged
        }
    }
}

fn follow(rows: Vec<Row>) {
    let mut wire = Wire::begin();
    let mut compared = 0;
    for (name, body, properties, expected) in &rows {
        assert_eq!(&fate(&wire, body, properties, expected), expected, "{name}");
        if let Some(recorded) = recorded(name) {
            assert_eq!(expected, &recorded, "{name}: the reference");
            compared += 1;
        }
    }
    // Whatever was acknowledged or answered has not been rejected, or answered again, as well.
    wire.put(b"the end", &json_type());
    assert_eq!(wire.next_on(REJECTED).body, b"the end");
    wire.settled();
    assert!(wire.vhost.take(REPLIES, 1).is_empty());
    assert!(compared >= 6, "{compared} rows were recorded with the reference");
    assert!(wire.host.stop().success());
}

#[test]
fn the_envelope_is_opened_or_rejected_row_by_row() {
    follow(envelopes());
}

#[test]
fn the_keys_of_a_request_mean_what_they_mean_to_the_reference() {
    follow(keys());
}

#[test]
fn properties_and_compression_are_heeded_or_rejected_row_by_row() {
    follow(properties());
}

#[test]
fn a_context_arrives_as_a_python_endpoint_gets_it() {
    let wire = Wire::begin();
    let message = json!({
        "method": "context", "args": {}, "_context_user": "u", "_context_roles": ["a", {"b": null}], "_context_": 1,
        "_context_msg_id": "forged", "_context_reply_q": "forged", "_context_client_timeout": 7, "user": "not this",
        "_context__context_x": 2,
    });
    let expected = json!({"user": "u", "roles": ["a", {"b": null}], "": 1, "_context_x": 2, "client_timeout": null});
    assert_eq!(wire.call(message).expect("a context"), expected);
    // Without any, there is what the reference adds.
    assert_eq!(wire.call(json!({"method": "context"})).expect("a context"), json!({"client_timeout": null}));
    let monitored = json!({
        "method": "context", "_msg_id": "i", "_reply_q": REPLIES, "_timeout": 60, "_context_client_timeout": 7,
    });
    wire.send(&monitored);
    assert_eq!(wire.reply()["result"], json!({"client_timeout": 60}));
    assert!(!wire.host.log().contains("forged"), "the context is not logged");
}

#[test]
fn a_havana_service_is_answered_in_the_way_it_understands() {
    let wire = Wire::begin();
    // Its key order, a namespace that is always there, no `_timeout`; the timeout is a header.
    let message = format!(
        r#"{{"method": "add", "namespace": null, "args": {{"a": 1, "b": 2}}, "version": "1.0", "_msg_id": "i",
            "_unique_id": "u", "_context_user_id": "x", "_reply_q": "{REPLIES}"}}"#
    );
    let properties =
        json!({"content_type": "application/json", "content_encoding": "utf-8", "headers": {"ttl": 60000}});
    wire.put(enveloped(&message).as_bytes(), &properties);
    let (value, end) = (wire.reply(), wire.reply());
    assert_eq!((&value["result"], &value["failure"], &value["ending"]), (&json!(3), &json!(null), &json!(false)));
    assert_eq!((&end["result"], &end["failure"], &end["ending"]), (&json!(null), &json!(null), &json!(true)));
    assert_eq!((&value["_msg_id"], &end["_msg_id"]), (&json!("i"), &json!("i")));
    assert_ne!(value["_unique_id"], end["_unique_id"]);
}

#[test]
fn what_python_writes_and_json_has_not_reaches_a_handler_or_is_refused_cleanly() {
    let wire = Wire::begin();
    let message = |method: &str, args: &str| {
        let message = format!(
            r#"{{"method": "{method}", "args": {args}, "_msg_id": "i", "_reply_q": "{REPLIES}", "_timeout": null}}"#
        );
        wire.put(enveloped(&message).as_bytes(), &json_type());
        let outer: Value = serde_json::from_slice(&wire.next_on(REPLIES).body).expect("JSON");
        outer["oslo.message"].as_str().expect("text").to_owned()
    };
    // What a handler keeps to the letter comes back so; `NaN`, for which JSON has no word, is null.
    let (long, deep) = ("7".repeat(5000), format!("{}{}", "[".repeat(9000), "]".repeat(9000)));
    for (sent, received) in [
        ("[NaN, Infinity, -Infinity]", "[null, 1e999, -1e999]"),
        (r#"{"\ud800": "\udfff"}"#, r#"{"\ud800": "\udfff"}"#),
        ("1e400", "1e400"),
        (&long, &long),
        (&deep, &deep),
    ] {
        let reply = message("echo", &format!(r#"{{"value": {sent}}}"#));
        assert!(reply.starts_with(&format!(r#"{{"result": {received}, "failure": null"#)), "{sent:.99}: {reply:.99}");
    }
    // What a handler reads into a type of its own language is refused in words, without a trap.
    let refused = |method: &str, args: &str| {
        let reply: Value = serde_json::from_str(&message(method, args)).expect("JSON");
        let failure: Value = serde_json::from_str(reply["failure"].as_str().expect("a failure")).expect("JSON");
        format!("{}: {}", failure["class"].as_str().unwrap_or("?"), failure["message"].as_str().unwrap_or("?"))
    };
    for (method, args, expected) in [
        (
            "concat",
            r#"{"texts": ["\ud800"]}"#,
            "TypeError: Calculator.concat() argument 'texts[0]' is not valid Unicode",
        ),
        (
            "echo",
            r#"{"value": 1, "\ud800": 2}"#,
            "TypeError: Calculator.echo() arguments must have names that are valid Unicode",
        ),
        ("add", r#"{"a": 1e400, "b": 1}"#, "TypeError: Calculator.add() argument 'a' must be an integer, not a float"),
        ("add", r#"{"a": NaN, "b": 1}"#, "TypeError: Calculator.add() argument 'a' must be an integer, not null"),
    ] {
        assert_eq!(refused(method, args), expected);
    }
}
