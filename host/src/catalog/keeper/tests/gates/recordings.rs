//! Which recordings a version is judged by: those that say something, whatever else lies in the directory.

use super::*;
use crate::{gate::Demands, replay::paths::Ignored};

#[tokio::test]
async fn where_there_is_nothing_to_judge_by_nothing_passes() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    let why = recorded.refuses(&answering("2"), "recordings").await;
    assert!(
        why.contains("recordings: there is no recording to judge by: 0 recording(s) of 0 method(s), 1 method(s)"),
        "{why}"
    );
    fs::remove_dir(recorded.recordings.path()).unwrap();
    let why = recorded.refuses(&answering("2"), "latency").await;
    assert!(why.contains("latency: ") && why.contains("cannot be read: No such file"), "{why}");
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let error = story.offer_with("a", answering("2"), "gate.memory = \"2x\"").await.unwrap_err().to_string();
    assert!(error.contains("memory: nothing is recorded here") && error.contains("record.directory"), "{error}");
    // Where nothing serves, there is nothing to hold a version against.
    story.offer_with("b", answering_with("1", METHOD_N), "gate.recordings = 5").await.unwrap();
}

#[tokio::test]
async fn what_the_serving_version_does_not_replay_itself_says_nothing_of_the_new_one() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    let mut other = recorded.run(1, "{}").await;
    other.ended = Ended::Replied(Text::parse("5".to_owned()).unwrap());
    recorded.keep(&other);
    let mut stopped = recorded.run(2, "{}").await;
    stopped.ended = Ended::Faulted { kind: "trapped".to_owned(), message: "x".to_owned(), frames: Vec::new() };
    recorded.keep(&stopped);
    let why = recorded.refuses(&answering("2"), "recordings").await;
    for expected in [
        "1 of requests without an answer passed over",
        "1 passed over, which the serving version does not replay itself, such as 0000000000001-0123456789ab",
    ] {
        assert!(why.contains(expected), "no {expected} in {why}");
    }
    // With one that it does, that one decides; whichever version has recorded it.
    let mut older = recorded.run(3, "{}").await;
    older.handler.digest = "1".repeat(64);
    recorded.keep(&older);
    let why = recorded.refuses(&answering("2"), "recordings").await;
    assert!(why.contains("recordings: 0000000000003-0123456789ab (m): result the whole: expected 1, got 2"), "{why}");
    recorded.passes(&rebuilt(answering("1")), "recordings").await;
}

#[tokio::test]
async fn damaged_recordings_are_passed_over_and_no_reason_to_refuse_or_to_fall() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    recorded.record(&["{}"]).await;
    let good = fs::read(recorded.path("0000000000001-0123456789ab")).unwrap();
    let mut edited = recorded.run(2, "{}").await;
    edited.limits.memory = u64::MAX;
    recorded.keep(&edited);
    let bad = [Vec::new(), b"nonsense".to_vec(), good[..good.len() - 5].to_vec(), vec![0x28, 0xb5, 0x2f, 0xfd, 0xff]];
    for (number, bytes) in bad.iter().enumerate() {
        fs::write(recorded.path(&format!("8-{number}")), bytes).unwrap();
    }
    let why = recorded.refuses(&answering("2"), "recordings").await;
    assert!(why.contains("0000000000001-0123456789ab (m): result the whole"), "{why}");
    recorded.passes(&rebuilt(answering("1")), "all").await;
    fs::remove_file(recorded.path("0000000000001-0123456789ab")).unwrap();
    let why = recorded.refuses(&answering("2"), "recordings").await;
    assert!(why.contains("0 recording(s) of 0 method(s), 5 damaged"), "{why}");
}

#[tokio::test]
async fn a_rehearsal_uses_the_values_of_its_own_manifest_and_shows_no_secret() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    recorded.record(&["{}"]).await;
    let manifest = "[config]\nregion = \"r\"\npassword = { value = \"hunter2hunter2\", secret = true }";
    let error = recorded.add(&answering("2"), Some(manifest), gates("recordings")).await.unwrap_err().to_string();
    assert!(error.contains("expected 1, got 2") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn what_may_differ_is_the_serving_manifests_to_say() {
    let manifest = "[gate]\nrecordings = 5\nignore = [\"/**/updated_at\"]";
    let recorded = Recorded::begin(&answering(r#"{"updated_at": 1, "b": 2}"#), manifest).await;
    recorded.record(&["{}"]).await;
    recorded.story.offer_with("a", answering(r#"{"updated_at": 9, "b": 2}"#), manifest).await.unwrap();
    recorded.story.offer_with("a", answering(r#"{"updated_at": 9, "b": 3}"#), manifest).await.unwrap_err();
    let gate = recorded.story.serving("a").unwrap().gate().clone();
    assert_eq!(
        gate,
        Demands { recordings: Some(5), ignored: Ignored::parse(&["/**/updated_at"]).unwrap(), ..gate.clone() }
    );
}
