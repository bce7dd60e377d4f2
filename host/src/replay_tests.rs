//! Requests that are recorded and run again.

use super::*;
use crate::{
    envelope::Text,
    recording::{Ended, FORMAT, sample},
    testing::Asks,
    testing::{CALL, ECHO, LOOP, asking, guest, load_granted, sandbox, tight},
};

fn text(text: &str) -> Text {
    Text::parse(text.to_owned()).unwrap()
}

const ASKS: Asks<'_> = Asks {
    broker: None,
    topic: "scheduler",
    method: "select",
    arguments: "{\"x\": 1}",
    server: None,
    timeout_ms: None,
};

/// Records what a component does with arguments.
async fn recorded(wasm: &[u8], arguments: &str, limits: Limits) -> Recording {
    let program = load_granted(sandbox(), wasm, limits.clone(), Grants::told(Values::default())).unwrap();
    let tape = Tape::recording(1 << 20, true);
    let mut recording = sample();
    recording.calls = Vec::new();
    recording.request.arguments = text(arguments);
    recording.handler.digest = program.digest().as_str().to_owned();
    recording.limits.timeout_ms = u64::try_from(limits.timeout.as_millis()).unwrap();
    let answer = program.handle(Invocation { ..invocation(&recording, 0, &tape) }).await;
    let taped = tape.taken().unwrap();
    assert_eq!(taped.ended, Some(ended(&answer)));
    Recording { format: FORMAT, calls: taped.calls, ended: taped.ended.unwrap(), served: taped.served, ..recording }
}

async fn again(wasm: &[u8], recording: &Recording) -> Comparison {
    replay(&load(&sandbox(), wasm.to_vec(), recording).await.unwrap(), recording, &Ignored::default()).await
}

/// A recording of a guest that asks the scheduler, with an answer, which no test has a broker for.
async fn answered(answer: &str) -> (Vec<u8>, Recording) {
    let wasm = asking(ASKS, CALL);
    let mut recording = recorded(&wasm, "{}", tight()).await;
    assert_eq!(recording.calls.len(), 1);
    recording.calls[0].answer = Some(text(answer));
    recording.ended = Ended::Replied(text("[1, 2]"));
    (wasm, recording)
}

#[tokio::test]
async fn the_same_component_gives_the_same_answer() {
    let recording = recorded(&guest(ECHO), r#"{"a": 1.50}"#, tight()).await;
    assert_eq!(recording.ended, Ended::Replied(text(r#"{"a": 1.50}"#)));
    let comparison = again(&guest(ECHO), &recording).await;
    assert!(comparison.is_same() && comparison.rule == Rule::Exact, "{comparison:?}");
}

#[tokio::test]
async fn another_answer_is_told_by_its_paths() {
    let mut recording = recorded(&guest(ECHO), r#"{"a": 1, "b": 2}"#, tight()).await;
    recording.ended = Ended::Replied(text(r#"{"a": 1, "b": 3}"#));
    let comparison = again(&guest(ECHO), &recording).await;
    assert_eq!((comparison.verdict(), comparison.differences.len()), (Verdict::Differs, 0), "{comparison:?}");
    assert_eq!(comparison.changed[0].to_string(), "/b: expected 3, got 2");
    let program = load(&sandbox(), guest(ECHO), &recording).await.unwrap();
    let ignored = |path| Ignored::parse(&[path]).unwrap();
    assert!(replay(&program, &recording, &ignored("/b")).await.is_same());
    assert!(!replay(&program, &recording, &ignored("/a")).await.is_same());
}

#[tokio::test]
async fn the_same_component_writes_the_same_text_and_another_one_need_not() {
    let mut recording = recorded(&guest(ECHO), r#"{"a": 1, "b": 2}"#, tight()).await;
    recording.ended = Ended::Replied(text(r#"{"b":2,"a":1}"#));
    let comparison = again(&guest(ECHO), &recording).await;
    let Difference { import, expected, got, .. } = &comparison.differences[0];
    let said = (import.as_str(), expected.as_deref(), got.as_deref());
    assert_eq!(said, ("outcome", Some(r#"replied: {"b":2,"a":1}"#), Some(r#"replied: {"a": 1, "b": 2}"#)));
    recording.handler.digest = "1".repeat(64);
    assert!(again(&guest(ECHO), &recording).await.is_same());
}

#[tokio::test]
async fn who_does_not_answer_any_more_has_failed() {
    let mut recording = recorded(&guest(LOOP), "{}", Limits { timeout: Duration::from_millis(50), ..tight() }).await;
    recording.ended = Ended::Replied(text("{}"));
    assert_eq!(again(&guest(LOOP), &recording).await.verdict(), Verdict::Failed);
}

#[tokio::test]
async fn a_guest_is_told_what_was_recorded_and_asks_nobody() {
    let (wasm, recording) = answered(r#"{"Ok": [1, 2]}"#).await;
    let comparison = again(&wasm, &recording).await;
    assert!(comparison.is_same(), "{comparison:?}");
    let made = &comparison.made[0];
    assert_eq!((made.import.as_str(), made.asked.get()), ("nova:rpc/client.call", recording.calls[0].asked.get()));
}

#[tokio::test]
async fn another_component_that_asks_something_else_is_named() {
    let (_, recording) = answered(r#"{"Ok": [1, 2]}"#).await;
    let other = asking(Asks { method: "choose", ..ASKS }, CALL);
    let comparison = again(&other, &recording).await;
    assert_eq!(comparison.rule, Rule::Told);
    assert_eq!(comparison.differences.len(), 1, "{comparison:?}");
    let Difference { number, import, expected, got } = &comparison.differences[0];
    assert_eq!((*number, import.as_str()), (1, "nova:rpc/client.call"));
    assert!(expected.as_ref().unwrap().contains(r#""method":"select""#), "{expected:?}");
    assert!(got.as_ref().unwrap().contains(r#""method":"choose""#), "{got:?}");
}

#[tokio::test]
async fn what_is_not_asked_for_any_more_is_named() {
    let (_, mut recording) = answered(r#"{"Ok": [1, 2]}"#).await;
    recording.ended = Ended::Replied(text("{}"));
    let comparison = again(&guest(ECHO), &recording).await;
    assert!(!comparison.is_same());
    assert_eq!(
        (comparison.differences[0].import.as_str(), &comparison.differences[0].got),
        ("nova:rpc/client.call", &None)
    );
}

#[tokio::test]
async fn an_answer_that_is_none_ends_the_run_with_a_word_of_it() {
    for answer in ["7", r#"{"Ok": "x", "Err": 1}"#, r#"{"Other": 1}"#, "null"] {
        let (wasm, recording) = answered(answer).await;
        let comparison = again(&wasm, &recording).await;
        let Difference { import, got, .. } = &comparison.differences[0];
        assert!(import == "nova:rpc/client.call" && got.as_ref().unwrap().contains("edited"), "{comparison:?}");
    }
}

#[tokio::test]
async fn a_guest_that_was_stopped_while_it_waited_is_stopped_there_again_and_at_once() {
    let (wasm, mut recording) = answered("null").await;
    recording.calls[0].answer = None;
    recording.limits.timeout_ms = 3_600_000;
    let (kind, message) = ("timed_out".to_owned(), "the handler did not finish within 1s (limits.timeout)".to_owned());
    recording.ended = Ended::Faulted { kind, message, frames: Vec::new() };
    let comparison = again(&wasm, &recording).await;
    assert!(comparison.is_same() && comparison.ended == recording.ended, "{comparison:?}");
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_limit_as_it_did() {
    let limits = Limits { timeout: Duration::from_millis(50), ..tight() };
    let recording = recorded(&guest(LOOP), "{}", limits).await;
    assert_eq!(recording.ended.kind(), "timed_out");
    let comparison = again(&guest(LOOP), &recording).await;
    assert!(comparison.is_same(), "{comparison:?}");
}

#[tokio::test]
async fn an_instance_that_was_kept_is_said_to_be_another() {
    let mut recording = recorded(&guest(ECHO), "{}", tight()).await;
    recording.served = 3;
    let comparison = again(&guest(ECHO), &recording).await;
    assert!(comparison.is_same() && comparison.rule == Rule::Told);
    assert!(comparison.notes[0].starts_with("the instance had served 3 request(s) before"), "{comparison:?}");
}

#[tokio::test]
async fn a_redacted_recording_replays() {
    let mut recording = recorded(&guest(ECHO), r#"{"password": "abc"}"#, tight()).await;
    recording.request.arguments = text(r#"{"password": "***"}"#);
    recording.ended = Ended::Replied(text(r#"{"password": "***"}"#));
    recording.redacted = 2;
    assert!(again(&guest(ECHO), &recording).await.is_same());
}

#[tokio::test]
async fn a_failure_is_no_reply_that_looks_like_it() {
    let failure = crate::envelope::Failure::new("builtins", "KeyError", "k");
    let mut recording = recorded(&guest(ECHO), &failure.encode(), tight()).await;
    recording.ended = Ended::Failed(failure);
    let comparison = again(&guest(ECHO), &recording).await;
    assert!(!comparison.is_same(), "{comparison:?}");
    let Difference { expected, got, .. } = &comparison.differences[0];
    assert!(expected.as_ref().unwrap().starts_with("failed: ") && got.as_ref().unwrap().starts_with("replied: "));
}

#[tokio::test]
async fn a_result_that_has_no_room_on_the_tape_is_not_copied() {
    let program = load_granted(sandbox(), &guest(ECHO), tight(), Grants::told(Values::default())).unwrap();
    let mut recording = sample();
    recording.request.arguments = text(&format!("{{\"a\": \"{}\"}}", "x".repeat(2000)));
    for (room, is_taken) in [(1000, false), (3000, true)] {
        let tape = Tape::recording(room, true);
        program.handle(invocation(&recording, 0, &tape)).await.unwrap();
        assert_eq!(tape.taken().is_some(), is_taken, "{room}");
    }
}
