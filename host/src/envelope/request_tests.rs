//! Tests of decoding requests; the first table is section by section what the reference does.

use proptest::prelude::*;

use super::*;
use crate::{compression::Compression, envelope::CONTENT_TYPE};

fn decode(body: &str) -> Result<Request, Error> {
    Request::decode(body.as_bytes(), Some(CONTENT_TYPE), None)
}

fn enveloped(version: &str, message: &str) -> String {
    format!(r#"{{"oslo.version": {version}, "oslo.message": {}}}"#, to_text(&message))
}

#[test]
fn an_entry_that_is_there_twice_is_there_once_when_it_is_set() {
    let mut context = Context::from_json(r#"{"a": 1, "x": 2, "a": 3, "y": 4}"#).unwrap();
    context.put("a", Some(Text::of(&5)));
    context.put("z", Some(Text::of(&6)));
    assert_eq!(context.to_json(&Text::null()), r#"{"x": 2, "a": 5, "y": 4, "z": 6, "client_timeout": null}"#);
    context.put("a", None);
    assert_eq!(context.to_json(&Text::null()), r#"{"x": 2, "y": 4, "z": 6, "client_timeout": null}"#);
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
fn half_a_surrogate_pair_loses_no_message() {
    let request = decode(&enveloped(
        "\"2.0\"",
        r#"{"\ud800": 1, "method": "m\udfff", "args": {"\ud800": "\udfff"}, "_context_\ud800": "\ud800"}"#,
    ))
    .unwrap();
    assert_eq!(request.method, Field::Text("m\u{fffd}".into()));
    assert_eq!(request.context.get("\u{fffd}").map(Text::get), Some(r#""\ud800""#));
    let Arguments::Object(arguments) = request.arguments else { panic!("no arguments") };
    // A handler gets the escapes: they are what its own parser must judge.
    assert_eq!(arguments.get(), r#"{"\ud800": "\udfff"}"#);
    // One level further out, where Python's string holds it as such.
    let outer =
        r#"{"\ud800": 1, "oslo.version": "2.0", "oslo.message": "{\"method\": \"m\", \"args\": {\"x\": \"\ud800\"}}"}"#;
    let Arguments::Object(arguments) = decode(outer).unwrap().arguments else { panic!("no arguments") };
    assert_eq!(arguments.get(), r#"{"x": "\ud800"}"#);
}

#[test]
fn depth_is_no_limit_and_takes_no_stack() {
    let deep = format!("{}1{}", "[".repeat(500_000), "]".repeat(500_000));
    let message =
        format!(r#"{{"method": "m", "args": {{"x": {deep}}}, "_timeout": {deep}, "_msg_id": "i", "_reply_q": "q"}}"#);
    for body in [enveloped("\"2.0\"", &message), message.clone(), message.replace('1', "NaN")] {
        let request = decode(&body).unwrap();
        assert_eq!(request.method, Field::Text("m".into()));
        assert!(matches!(request.reply_to.unwrap().monitor(), crate::envelope::Monitor::Invalid(_)));
    }
}

#[test]
fn numbers_of_any_size_reach_the_handler_as_they_were_written() {
    let arguments = format!(r#"{{"a": {}, "b": 1e400, "c": -0.0, "d": 1E+05}}"#, "7".repeat(5000));
    let Arguments::Object(text) = decode(&format!(r#"{{"args": {arguments}}}"#)).unwrap().arguments else {
        panic!("no arguments");
    };
    assert_eq!(text.get(), arguments);
}

#[test]
fn typed_values_are_decoded_without_an_envelope_only() {
    let typed = r#"{"id": {"__type__": "uuid", "__value__": {"hex": "0123456789abcdef0123456789abcdef"}}}"#;
    let arguments = |body: &str| match decode(body).unwrap().arguments {
        Arguments::Object(text) => text.get().to_owned(),
        other => panic!("{other:?}"),
    };
    let message = format!(r#"{{"method": "m", "args": {typed}}}"#);
    assert_eq!(arguments(&message), r#"{"id": "01234567-89ab-cdef-0123-456789abcdef"}"#);
    assert_eq!(arguments(&enveloped("\"2.0\"", &message)), typed);
    let unknown = r#"{"args": {"x": {"__type__": "set", "__value__": []}}}"#;
    assert!(matches!(decode(unknown), Err(Error::Typed(_))));
    assert_eq!(arguments(&enveloped("\"2.0\"", unknown)), r#"{"x": {"__type__": "set", "__value__": []}}"#);
}

#[test]
fn a_body_is_decompressed_as_its_header_says() {
    let body = enveloped("\"2.0\"", r#"{"method": "m"}"#);
    let decode = |body: &[u8], header| Request::decode(body, Some(CONTENT_TYPE), Some(header));
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Lzma] {
        let compressed = compression.compress(body.as_bytes()).unwrap();
        assert_eq!(decode(&compressed, compression.header()).unwrap().method, Field::Text("m".into()));
        let damaged = decode(&compressed[..compressed.len() - 1], compression.header());
        assert!(matches!(damaged, Err(Error::Compression(..))), "{damaged:?}");
        assert_eq!(decode(b"", compression.header()).unwrap().method, Field::Absent);
    }
    let bomb = Compression::Gzip.compress(&vec![b' '; crate::envelope::MAX_BODY + 1]).unwrap();
    let refused = decode(&bomb, "application/x-gzip");
    assert!(matches!(refused, Err(Error::Bomb(length)) if length == bomb.len()), "{refused:?}");
    let unknown = decode(b"\x28\xb5\x2f\xfd", "application/zstd");
    assert!(matches!(unknown, Err(Error::Compression(..))), "{unknown:?}");
    // The reference takes what it cannot decompress as it is.
    for header in ["application/zstd", "application/x-gzip", ""] {
        assert_eq!(decode(body.as_bytes(), header).unwrap().method, Field::Text("m".into()), "{header}");
    }
}

#[test]
fn a_havana_request_is_a_call_that_gets_two_messages() {
    let request = decode(&enveloped(
        "\"2.0\"",
        r#"{"method": "m", "namespace": null, "args": {}, "version": "1.0", "_msg_id": "i", "_unique_id": "u",
            "_context_user_id": "x", "_reply_q": "reply_1"}"#,
    ))
    .unwrap();
    assert_eq!((request.namespace, request.unique_id.as_deref()), (Field::Null, Some("u")));
    let reply_to = request.reply_to.unwrap();
    assert_eq!((reply_to.queue.as_str(), &reply_to.style), ("reply_1", &Style::TwoMessages));
    assert_eq!(request.context.to_json(&reply_to.client_timeout()), r#"{"user_id": "x", "client_timeout": null}"#);
}

#[test]
fn a_call_says_where_its_reply_goes() {
    let style = |body: &str| decode(body).unwrap().reply_to;
    let modern = style(r#"{"_msg_id": "i", "_reply_q": "q", "_timeout": null}"#).unwrap();
    assert_eq!((modern.queue.as_str(), modern.message_id.as_str()), ("q", "i"));
    assert!(matches!(modern.style, Style::OneMessage { .. }));
    assert_eq!(style(r#"{"_msg_id": "i", "_reply_q": "q"}"#).unwrap().style, Style::TwoMessages);
    // Folsom's clients named no queue, and meant the one that is called like the message.
    assert_eq!(style(r#"{"_msg_id": "i"}"#), None);
    assert_eq!(style(r#"{"_msg_id": "i", "_reply_q": ""}"#), None);
    assert_eq!(style(r#"{"_msg_id": "", "_reply_q": "q"}"#), None);
    assert_eq!(style(r#"{"_reply_q": "q"}"#), None);
}

#[test]
fn a_reply_is_no_request() {
    for reply in [
        r#"{"result": 3, "failure": null, "ending": true, "_msg_id": "i", "_unique_id": "u"}"#,
        r#"{"failure": "{}", "_msg_id": "i", "_reply_q": "q"}"#,
        r#"{"ending": true}"#,
    ] {
        for body in [reply.to_owned(), enveloped("\"2.0\"", reply)] {
            assert_eq!(decode(&body), Err(Error::NotARequest), "{body}");
        }
    }
    // What a client names so is its own affair.
    assert!(decode(r#"{"method": "m", "result": 3}"#).is_ok());
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
        call: bool, hops: u32,
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
            hops,
        };
        prop_assert_eq!(Request::decode(&request.encode(), Some(CONTENT_TYPE), None).unwrap(), request);
    }
}
