//! Tests of decoding requests; the first table is section by section what the reference does.

use proptest::prelude::*;

use super::*;
use crate::envelope::CONTENT_TYPE;

fn decode(body: &str) -> Result<Request, Error> {
    Request::decode(body.as_bytes(), Some(CONTENT_TYPE), None)
}

fn enveloped(version: &str, message: &str) -> String {
    format!(r#"{{"oslo.version": {version}, "oslo.message": {}}}"#, to_text(&message))
}

#[test]
fn only_versions_that_2_0_covers_are_opened() {
    for version in [r#""2.0""#, r#""2.0.0""#] {
        assert_eq!(decode(&enveloped(version, r#"{"method": "m"}"#)).unwrap().method, Field::Text("m".into()));
    }
    for version in [r#""1.0""#, r#""1.9""#, r#""2.1""#, r#""2.0.1""#, r#""3.0""#, r#""2""#, r#""x""#, "2.0", "null"] {
        let error = decode(&enveloped(version, "{}")).unwrap_err();
        assert!(matches!(error, Error::Version(_)), "{version}: {error}");
    }
}

#[test]
fn an_object_without_envelope_is_the_message() {
    for body in [r#"{"method": "m"}"#, r#"{"oslo.version": "7", "method": "m"}"#] {
        assert_eq!(decode(body).unwrap().method, Field::Text("m".into()), "{body}");
    }
}

#[test]
fn what_is_not_an_object_is_refused() {
    let cases = ["[]", "1", "\"x\"", "{", "nonsense", "\u{feff}{}", "{} {}"];
    for body in cases {
        assert!(matches!(decode(body), Err(Error::Json { .. })), "{body}");
        assert!(matches!(decode(&enveloped("\"2.0\"", body)), Err(Error::Json { .. })), "{body}");
    }
    assert!(decode(r#"{"oslo.version": "2.0", "oslo.message": {}}"#).is_err());
    // Python's literals beside the envelope do not get its version past us.
    assert!(decode(r#"{"oslo.version": "3.0", "oslo.message": "{}", "x": NaN}"#).is_err());
    assert!(matches!(Request::decode(b"\xff{}", Some(CONTENT_TYPE), None), Err(Error::Json { .. })));
}

#[test]
fn only_plain_json_content_is_decoded() {
    for content_type in [None, Some("text/plain"), Some("application/json; charset=utf8")] {
        assert!(matches!(Request::decode(b"{}", content_type, None), Err(Error::ContentType(_))));
    }
    assert!(matches!(Request::decode(b"x", Some(CONTENT_TYPE), Some("application/x-lz4")), Err(Error::Compression(_))));
}

#[test]
fn an_empty_body_is_a_message_without_keys() {
    assert_eq!(Request::decode(b"", None, None).unwrap().method, Field::Absent);
}

#[test]
fn fields_keep_what_they_were() {
    let request = decode(r#"{"method": 7, "namespace": null, "args": [1], "method": "last"}"#).unwrap();
    assert_eq!(request.method, Field::Text("last".into()));
    assert_eq!(request.namespace, Field::Null);
    assert_eq!(request.version, Field::Absent);
    assert!(matches!(request.arguments, Arguments::Other(list) if list.python_type() == "list"));
}

#[test]
fn what_python_takes_for_json_is_not_lost() {
    for body in [
        enveloped("\"2.0\"", r#"{"method": "m", "args": {"x": [NaN, -Infinity]}}"#),
        r#"{"method": "m", "args": {"x": [NaN, -Infinity]}}"#.to_owned(),
        r#"{"oslo.version": "7", "oslo.version": "2.0", "oslo.message": "x", "oslo.message": "{\"method\": \"m\"}"}"#
            .to_owned(),
    ] {
        assert_eq!(decode(&body).unwrap().method, Field::Text("m".into()), "{body}");
    }
    let Arguments::Object(arguments) = decode(r#"{"args": {"x": [NaN, -Infinity]}}"#).unwrap().arguments else {
        panic!("no arguments");
    };
    assert_eq!(arguments.get(), r#"{"x": [null, -1e999]}"#);
}

#[test]
fn a_call_says_where_its_reply_goes() {
    let style = |body: &str| decode(body).unwrap().reply_to;
    let modern = style(r#"{"_msg_id": "i", "_reply_q": "q", "_timeout": null}"#).unwrap();
    assert_eq!((modern.queue.as_str(), modern.message_id.as_str()), ("q", "i"));
    assert!(matches!(modern.style, Style::OneMessage { .. }));
    assert_eq!(style(r#"{"_msg_id": "i", "_reply_q": "q"}"#).unwrap().style, Style::TwoMessages);
    assert_eq!(style(r#"{"_msg_id": "i"}"#).unwrap().queue, "i");
    assert_eq!(style(r#"{"_msg_id": "", "_reply_q": "q"}"#), None);
    assert_eq!(style(r#"{"_reply_q": "q"}"#), None);
}

#[test]
fn the_context_is_what_a_python_endpoint_gets() {
    let request =
        decode(r#"{"_context_user": "u", "_context_msg_id": 1, "_context_n": 12345678901234567890123}"#).unwrap();
    let timeout = Text::parse("60".into()).unwrap();
    assert_eq!(
        request.context.to_json(&timeout),
        r#"{"user": "u", "n": 12345678901234567890123, "client_timeout": 60}"#
    );
    assert_eq!(request.context.get_str("user").as_deref(), Some("u"));
    assert_eq!(request.context.get_str("n"), None);
}

#[test]
fn the_context_is_not_shown_in_logs() {
    let request = decode(r#"{"_context_auth_token": "secret"}"#).unwrap();
    let shown = format!("{request:?}");
    assert!(shown.contains("auth_token") && !shown.contains("secret"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_a_panic(body: Vec<u8>) {
        let _ = Request::decode(&body, Some(CONTENT_TYPE), None);
    }

    #[test]
    fn any_inner_text_decodes_or_fails_without_a_panic(inner in ".{0,200}") {
        let _ = decode(&enveloped("\"2.0\"", &inner));
    }

    #[test]
    fn a_request_reads_back_as_it_was_written(
        method in ".{0,20}", version in proptest::option::of("[0-9.]{1,5}"), key in "[a-z_]{1,8}", value: i64,
        call: bool,
    ) {
        let request = Request {
            method: Field::Text(method),
            namespace: Field::Absent,
            version: version.map_or(Field::Absent, Field::Text),
            arguments: Arguments::Object(Text::of(&serde_json::json!({key.as_str(): value}))),
            context: Context::from_json(&to_text(&serde_json::json!({key: value}))).unwrap(),
            reply_to: call.then(|| ReplyTo {
                queue: "reply_1".into(),
                message_id: "i".into(),
                style: Style::OneMessage { monitor: Text::null() },
            }),
            unique_id: Some("u".into()),
        };
        prop_assert_eq!(Request::decode(&request.encode(), Some(CONTENT_TYPE), None).unwrap(), request);
    }
}
