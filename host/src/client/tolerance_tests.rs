//! What a client makes of replies that no server of ours would send: the rows of what the reference tolerates, and those
//! on which it crashes.

use serde_json::{Value, json};

use super::{tests::Line, *};
use crate::envelope::Failure;

const MODERN: fn(Value) -> Value = |result| json!({"result": result, "failure": null, "ending": true});

fn end() -> Value {
    MODERN(json!(null))
}

/// A failure as text.
fn failure() -> String {
    Failure::new("nova.exception", "InstanceNotFound", "gone").encode()
}

async fn answer(replies: &[Value]) -> Result<Text, Error> {
    Line::open().await.exchange(replies, Duration::from_secs(30)).await
}

async fn result(replies: &[Value]) -> String {
    answer(replies).await.unwrap().get().to_owned()
}

async fn remote(replies: &[Value]) -> Failure {
    match answer(replies).await {
        Err(Error::Remote(failure)) => *failure,
        other => panic!("{replies:?}: {other:?}"),
    }
}

/// A call whose time passes at once when nothing else happens; what it was told.
async fn without_an_end(replies: &[Value], options: CallOptions) -> String {
    Line::open().await.exchange(replies, options).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_result_needs_no_other_key() {
    assert_eq!(result(&[json!({"result": 7, "ending": true})]).await, "7");
    assert_eq!(
        result(&[json!({"result": 7, "failure": null, "ending": true, "_unique_id": "u", "more": 1})]).await,
        "7"
    );
    assert_eq!(result(&[json!({"failure": null, "ending": true})]).await, "null");
    assert_eq!(result(&[json!({"ending": true})]).await, "null");
}

#[tokio::test]
async fn an_ending_is_whatever_python_takes_for_true() {
    for ending in [json!(true), json!(1), json!(-0.5), json!("false"), json!([0]), json!({"a": null})] {
        assert_eq!(result(&[json!({"result": 7, "ending": ending})]).await, "7");
    }
    for not_yet in [json!(false), json!(null), json!(0), json!(""), json!([]), json!({})] {
        assert_eq!(result(&[json!({"result": 7, "ending": not_yet}), end()]).await, "7");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_without_an_ending_waits_for_one() {
    let value = json!({"result": 7, "failure": null});
    assert_eq!(
        without_an_end(std::slice::from_ref(&value), Duration::from_secs(3).into()).await,
        "no reply to m within 3s"
    );
    assert_eq!(result(&[value, end()]).await, "7");
}

#[tokio::test]
async fn of_several_values_the_last_wins() {
    let value = |n: u32| json!({"result": n, "failure": null});
    assert_eq!(result(&[value(1), value(2), value(3), end()]).await, "3");
    assert_eq!(result(&[value(1), MODERN(json!(4))]).await, "4");
    assert_eq!(result(&[json!({"result": null, "failure": null}), end()]).await, "null");
}

#[tokio::test]
async fn a_heartbeat_nobody_asked_for_is_ignored() {
    let beat = json!({"result": null, "failure": null, "ending": false});
    assert_eq!(result(&[beat.clone(), beat, MODERN(json!(7))]).await, "7");
    assert_eq!(result(&[json!({}), MODERN(json!(7))]).await, "7");
}

#[tokio::test]
async fn a_failure_ends_a_call_even_where_it_does_not_say_so() {
    for reply in [
        json!({"result": null, "failure": failure(), "ending": true}),
        json!({"result": null, "failure": failure()}),
        json!({"failure": failure(), "ending": false}),
    ] {
        let failure = remote(&[reply]).await;
        assert_eq!((failure.class.as_str(), failure.module.as_str()), ("InstanceNotFound", "nova.exception"));
        assert_eq!((failure.message.as_str(), failure.args.get()), ("gone", r#"["gone"]"#));
        assert_eq!(failure.traceback.len(), 2);
    }
}

#[tokio::test]
async fn a_failure_wins_over_a_result() {
    assert_eq!(remote(&[json!({"result": 7, "failure": failure(), "ending": true})]).await.class, "InstanceNotFound");
    assert_eq!(remote(&[json!({"result": 7}), json!({"failure": failure()})]).await.class, "InstanceNotFound");
}

#[tokio::test]
async fn what_is_false_in_python_is_no_failure() {
    for none in [json!(""), json!(0), json!(false), json!([]), json!({})] {
        assert_eq!(result(&[json!({"result": 7, "failure": none, "ending": true})]).await, "7");
    }
}

#[tokio::test]
async fn a_failure_that_is_an_object_is_as_clear_as_its_text() {
    let object: Value = serde_json::from_str(&failure()).unwrap();
    assert_eq!(remote(&[json!({"failure": object, "ending": true})]).await.class, "InstanceNotFound");
}

#[tokio::test]
async fn a_failure_that_cannot_be_read_is_said_at_once() {
    for nonsense in [json!("nonsense"), json!("7"), json!("[]"), json!(7), json!([1]), json!(true)] {
        let error = answer(&[json!({"failure": nonsense, "ending": true})]).await.unwrap_err();
        match &error {
            Error::InvalidReply { method, source } => {
                assert_eq!(method, "m");
                assert!(source.to_string().starts_with("the failure is not a JSON object"), "{source}");
            }
            other => panic!("{nonsense}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn replies_to_nobody_and_repeated_ones_are_dropped() {
    let stray = json!({"result": "stray", "ending": true, "_msg_id": "f00d"});
    let nobodys = json!({"result": "nobody's", "ending": true, "_msg_id": null});
    let mut line = Line::open().await;
    let options = CallOptions::default();
    let replies = [stray, nobodys, MODERN(json!(7)), MODERN(json!(8)), json!({"failure": failure()})];
    assert_eq!(line.exchange(&replies, options).await.unwrap().get(), "7");
    assert_eq!(line.exchange(&[MODERN(json!(9))], options).await.unwrap().get(), "9");
}

#[tokio::test]
async fn messages_that_are_no_replies_disturb_no_call() {
    let mut line = Line::open().await;
    let client = std::mem::replace(&mut line.client, Client::new(Transport::Memory(Default::default())));
    let answering = async {
        let asked = line.asked().await;
        let id = asked.body["_msg_id"].as_str().unwrap();
        let plain = json!({"result": "plain", "ending": true, "_msg_id": id}).to_string();
        for wrong in [None, Some("text/plain"), Some("application/json; charset=utf8")] {
            asked.send(plain.as_bytes(), wrong);
        }
        for wrong in ["nonsense", "[]", "7", "", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#] {
            asked.send(wrong.as_bytes(), Some("application/json"));
        }
        asked.send(b"\xff\xfe", Some("application/json"));
        // Without an envelope, but a reply.
        asked.send(plain.as_bytes(), Some("application/json"));
    };
    let (outcome, ()) = tokio::join!(client.call(invocation(), CallOptions::default()), answering);
    assert_eq!(outcome.unwrap().get(), r#""plain""#);
    let queue = client.replies.lock().await.as_ref().unwrap().queue().to_owned();
    assert_eq!((line.broker.waiting(&queue), line.broker.unsettled(&queue)), (Some(0), Some(0)));
}

fn invocation() -> Invocation {
    super::tests::invocation("m")
}
