//! What is secret in a recording, and what is not.

use super::*;
use crate::recording::form::{Call, Given, sample};

fn text(text: &str) -> Text {
    Text::parse(text.to_owned()).unwrap()
}

fn redacted(recording: Recording, config: &Values) -> Recording {
    let mut recording = recording;
    Names::default().redact(&mut recording, config);
    recording
}

fn arguments(json: &str) -> String {
    let mut recording = sample();
    recording.request.arguments = text(json);
    redacted(recording, &Values::default()).request.arguments.get().to_owned()
}

#[test]
fn names_that_hide_what_they_name() {
    let names = Names::new(&["Serial-Number".to_owned()]);
    let secret = "auth_token token X-Auth-Token password admin_password adminPass admin_pass root_pass old_passwd \
                  userPassword client_secret Authorization Set-Cookie ssh_private_key apiKey credentials user_data \
                  injected_files serial_number";
    for name in secret.split_whitespace() {
        assert!(names.hide(name), "{name}");
    }
    for name in
        ["name", "host", "user_id", "project_id", "compass", "passive", "key_name", "author", "instance", "bypass"]
    {
        assert!(!names.hide(name), "{name}");
    }
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
