//! What is secret in a recording, and what is not.

use super::*;
use crate::recording::form::{Call, Given, sample};

fn text(text: &str) -> Text {
    Text::parse(text.to_owned()).unwrap()
}

fn redacted(recording: Recording, config: &Values) -> Recording {
    let mut recording = recording;
    Names::default().redact(&mut recording, config).unwrap();
    recording
}

fn arguments(json: &str) -> String {
    let mut recording = sample();
    recording.request.arguments = text(json);
    redacted(recording, &Values::default()).request.arguments.get().to_owned()
}

#[test]
fn values_are_taken_out_where_their_name_stands() {
    for (given, kept) in [
        (
            r#"{"auth_token":  "s3cr\u00e9t", "a": 1}"#,
            r#"{"auth_token":  "********", "a": 1}"#.replace("********", &"*".repeat(7)),
        ),
        (
            r#"{"password": {"old": "ab", "tries": 12, "no": null}}"#,
            r#"{"password": {"old": "**", "tries": 10, "no": null}}"#.into(),
        ),
        (
            r#"{"headers": [["X-Auth-Token", "gAAAAAB"], ["Accept", "*/*"]]}"#,
            r#"{"headers": [["X-Auth-Token", "*******"], ["Accept", "*/*"]]}"#.into(),
        ),
        (r#"{"body": "{\"admin_pass\": \"abc\"}"}"#, r#"{"body": "{\"admin_pass\": \"***\"}"}"#.into()),
        (r#"{"path": "/v3?token=abc&x=1"}"#, r#"{"path": "/v3?token=***&x=1"}"#.into()),
        (
            r#"{"big": 12345678901234567890123, "z": 1, "a": 2}"#,
            r#"{"big": 12345678901234567890123, "z": 1, "a": 2}"#.into(),
        ),
    ] {
        assert_eq!(arguments(given), kept);
    }
}

#[test]
fn a_known_secret_is_taken_out_of_everything() {
    let mut recording = sample();
    recording.request.context = text(r#"{"auth_token": "gAAAAABsecret", "user": "u"}"#);
    recording.calls = vec![Call {
        import: "nova:rpc/client.call".to_owned(),
        asked: text(r#"[{"arguments": "{\"x\": \"gAAAAABsecret\"}"}]"#),
        answer: Some(text(r#"{"Ok": "not gAAAAABsecret"}"#)),
        at_us: 0,
        took_us: 0,
    }];
    recording.ended = Ended::Failed(Failure::builtin("ValueError", "no gAAAAABsecret"));
    let recording = redacted(recording, &Values::default());
    let written = serde_json::to_string(&recording).unwrap();
    assert!(!written.contains("gAAAAABsecret"), "{written}");
    assert!(written.contains(r#"[{"arguments": "{\"x\": \"*************\"}"}]"#), "{written}");
    assert!(recording.redacted >= 4, "{}", recording.redacted);
}

#[test]
fn a_short_password_is_not_looked_for_in_other_words() {
    let kept = arguments(r#"{"password": "nova", "service": "nova-compute"}"#);
    assert_eq!(kept, r#"{"password": "****", "service": "nova-compute"}"#);
}

#[test]
fn secrets_of_the_manifest_have_a_placeholder_of_their_length_and_others_stay() {
    let values = [("token", "hush hush", true), ("colour", "green", false), ("key", "abcdef", true)];
    let values = values.map(|(name, value, secret)| (name.to_owned(), value.to_owned(), secret));
    let config = Values::told(values.clone());
    let mut recording = sample();
    recording.config = values.map(|(name, value, secret)| Given { name, value, secret }).into();
    recording.ended = Ended::Replied(text(r#"["hush hush", "abcdef", "green"]"#));
    let recording = redacted(recording, &config);
    assert_eq!(recording.ended.comparable(), r##"["#0#0#0#0#", "#2#2#2", "green"]"##);
    assert_eq!(recording.config[0].value.len(), "hush hush".len());
    assert_eq!(recording.config[1].value, "green");
}

#[test]
fn stars_of_a_redacted_text_are_like_whatever_has_their_length() {
    assert!(is_like("a***b", "axyzb", true) && is_like("", "", false));
    assert!(!is_like("a***b", "axyb", true) && !is_like("a***b", "axyzc", true) && !is_like("a***b", "axyzb", false));
}

#[test]
fn what_an_entry_or_a_key_names_is_taken_out() {
    for (given, kept) in [
        (r#"[{"name":"X-Auth-Token","value":"abc"}]"#, r#"[{"name":"X-Auth-Token","value":"***"}]"#),
        (
            r#"[{"value":"abc","name":"token"},{"value":"abc","name":"x"}]"#,
            r#"[{"value":"***","name":"token"},{"value":"abc","name":"x"}]"#,
        ),
        (
            r#"{"token":9182730019,"x":9182730019,"y":"no 9182730019"}"#,
            r#"{"token":1000000000,"x":1000000000,"y":"no 1000000000"}"#,
        ),
        (
            r#"{"credentials":{"AKIAIOSFODNN7EXAMPLE":1,"a":"b"}}"#,
            r#"{"credentials":{"AAAAAAAAAAAAAAAAAAAA":1,"a":"*"}}"#,
        ),
        (
            r#"{"token":"hunter2<x","a":"{\"b\":\"hunter2\\u003cx\"}"}"#,
            r#"{"token":"*********","a":"{\"b\":\"*********\"}"}"#,
        ),
        (r#"{"token":"hunter21","a":{"hunter21":1}}"#, r#"{"token":"********","a":{"********":1}}"#),
        (r#"{"x":" {\"password\": \"abc\"}"}"#, r#"{"x":" {\"password\": \"***\"}"}"#),
    ] {
        assert_eq!(arguments(&format!(r#"{{"x":{given}}}"#)), format!(r#"{{"x":{kept}}}"#));
    }
}

/// Each line was clear once; the secret is the same in all of them.
#[test]
fn secrets_in_text_that_is_no_json_are_taken_out() {
    for line in [
        "{'admin_password': 'S'}",
        "{'admin_password': b'S', 'x': 1}",
        "password: S",
        "password = S",
        r#"password="S""#,
        "Authorization: Bearer S",
        "--password S",
        "<adminPass>S</adminPass>",
        "rabbit://user:S@h",
        "mysql+pymysql://user:S@h/db",
        "rabbit://u:S@h1:5672,u:S@h2:5672/",
        "/x?pass%77ord=S&a=1",
        "vnc_auto.html?path=%3Ftoken%3DS",
        "vnc_auto.html?path=%253Ftoken%253DS",
        "api key: S",
        r#"reply: {"password": "S"}"#,
        r#"b'{"password": "S"}'"#,
        r#"{"a": NaN, "password": "S"}"#,
        r#"{\\\"password\\\": \\\"S\\\"}"#,
        "('X-Auth-Token', 'S')",
        "credentials: {'a': 'S'}",
        "password=aa,S",
    ] {
        let given = line.replace('S', "qz7");
        let kept = arguments(&format!(r#"{{"x":{}}}"#, encoded(&given)));
        assert!(!kept.contains("qz7"), "{line}: {kept}");
        assert_eq!(kept.len(), encoded(&given).len() + 6, "{line}: {kept}");
    }
    for line in
        ["user: x, host = y", "http://h:8774/v2?a=1", "a token of https://example.org/", "token_type: x", "<b>x</b>"]
    {
        assert_eq!(arguments(&format!(r#"{{"x":"{line}"}}"#)), format!(r#"{{"x":"{line}"}}"#));
    }
}

#[test]
fn state_under_a_secret_key_and_bodies_in_pieces_or_of_bytes_are_taken_out() {
    let call = |import: &str, asked: &str, answer: &str| Call {
        import: import.to_owned(),
        asked: text(asked),
        answer: Some(text(answer)),
        at_us: 0,
        took_us: 0,
    };
    let read = |answer: &str| call("wasi:http/types.incoming-body.read", "9", answer);
    let mut recording = sample();
    recording.calls = vec![
        call("nova:rpc/keyvalue.set", r#"{"key":"admin_password","value":"abc"}"#, r#"{"Ok":null}"#),
        call("nova:rpc/keyvalue.get", r#"{"key":"admin_password"}"#, r#"{"Ok":"abc"}"#),
        call("nova:rpc/keyvalue.get", r#"{"key":"admin_password"}"#, r#"{"Err":"gone"}"#),
        read(r#"{"Ok":"{\"pass"}"#),
        read(r#"{"Ok":"word\":\"hunter2"}"#),
        read(r#"{"Ok":"more\"}"}"#),
        read(r#"{"Err":null}"#),
        call("x", &format!("{:?}", blob::as_base64(b"\xff hunter2more")), "null"),
    ];
    let calls = redacted(recording, &Values::default()).calls;
    let seen: Vec<_> = calls.iter().map(|call| (call.asked.get(), call.answer.as_ref().unwrap().get())).collect();
    let bytes = encoded(&blob::as_base64(b"\xff ***********"));
    assert_eq!(
        seen,
        [
            (r#"{"key":"admin_password","value":"***"}"#, r#"{"Ok":null}"#),
            (r#"{"key":"admin_password"}"#, r#"{"Ok":"***"}"#),
            (r#"{"key":"admin_password"}"#, r#"{"Err":"gone"}"#),
            ("9", r#"{"Ok":"{\"pass"}"#),
            ("9", r#"{"Ok":"word\":\"*******"}"#),
            ("9", r#"{"Ok":"****\"}"}"#),
            ("9", r#"{"Err":null}"#),
            (&bytes, "null"),
        ]
    );
}
