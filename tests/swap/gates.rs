//! Gates: a version that does something else than was recorded is refused, whichever way it comes, and an innocent one is served.

use std::fs;

use serde_json::{Value, json};

use super::Story;
use crate::harness::{eventually, guest::answering, handlers};

const GATE: &str = "[gate]\ninterface = true\nimports = true\ngrants = true\nrecordings = 20\n";

/// The same component with other bytes: a section that says nothing.
fn rebuilt(mut wasm: Vec<u8>) -> Vec<u8> {
    wasm.extend_from_slice(&[0, 6, 4, b'n', b'o', b't', b'e', b'!']);
    wasm
}

/// A handler `a` whose requests are recorded, with this manifest, and the id of a recording.
fn recorded(answer: &str, manifest: &str) -> (Story, String) {
    let record = "[record]\ndirectory = \"SCRATCH/recordings\"\nmethods = \"*\"";
    let story = Story::configured(&[("a.wasm", &answering(answer)), ("a.toml", manifest.as_bytes())], record);
    story.answer();
    let id = eventually("a recording", || {
        let names = fs::read_dir(story.scratch.path().join("recordings"))
            .expect("it is there")
            .map(|entry| entry.expect("it is there").file_name());
        let mut names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".recording.zst")?.to_owned()));
        names.next()
    });
    (story, id)
}

#[test]
fn a_version_that_answers_otherwise_is_refused_at_every_door_and_a_rebuilt_one_is_served() {
    let (old, new) = (r#"{"host": "h", "at": 1}"#, r#"{"node": "h", "at": 1}"#);
    let (story, id) = recorded(old, GATE);
    let expected =
        format!("does not pass: recordings: {id} (m): result /host: expected \"h\", is not there, result /node");
    let ran = story.add("a", &answering(new), &[]);
    assert!(ran.fails(3).contains(&expected), "{ran:?}");
    let refused = story.listed("a")["refused"]["reason"].as_str().expect("a reason").to_owned();
    assert!(refused.starts_with(&expected), "{refused}");
    assert!(story.host.log().contains(&format!("handler refused: {expected}")), "{}", story.host.log());
    // What the refusal names shows the same.
    let file = story.scratch.path().join("new/a.wasm").display().to_string();
    let replayed = story.command(&["replay", &id, "--handler", &file]);
    assert!(replayed.code == Some(3) && replayed.stdout.contains("result /host: expected \"h\""), "{replayed:?}");
    // A canary does not begin.
    let ran = story.handlers(&["canary", &file]);
    assert!(ran.fails(3).contains(&expected), "{ran:?}");
    // By file, with a manifest that demands nothing.
    fs::write(story.file("a.toml"), "").expect("it is writable");
    fs::write(story.file("a.wasm"), answering(new)).expect("it is writable");
    eventually("a refusal of the file", || {
        let log = story.host.log();
        (log.matches(&format!("handler refused: {expected}")).count() >= 3).then_some(())
    });
    assert_eq!(story.answer(), json!({"host": "h", "at": 1}));
    let metrics = story.command(&["metrics"]);
    let metrics = metrics.succeeds();
    assert!(metrics.contains("nova_host_gates_failed_total{gate=\"recordings\"} "), "{metrics}");
    // The same code in another file is served, past all gates.
    let manifest = story.scratch.write("new/a.toml", GATE);
    let ran = story.add("a", &rebuilt(answering(old)), &["--gate", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?} {}", story.host.log());
    fs::remove_file(manifest).expect("it is there");
    let log = story.host.log();
    assert!(
        log.contains("gates passed: interface, imports, grants, recordings=20, latency=1.5x, memory=1.5x ("),
        "{log}"
    );
    // What is meant is allowed for, or forced.
    story.add("a", &answering(new), &["--ignore", "/host,/node"]).fails(3);
    story.add("a", &answering(new), &["--ignore", "/host", "--ignore", "/node"]).succeeds();
    assert_eq!(story.answer(), json!({"node": "h", "at": 1}));
    story.add("a", &answering("3"), &["--force"]).succeeds();
    assert_eq!(story.answer(), 3);
    assert!(story.host.log().contains("by force, a version does not have to pass: "), "{}", story.host.log());
}

#[test]
fn a_handler_of_a_real_language_passes_all_gates_with_failures_and_secrets_among_its_recordings() {
    let old = fs::read(handlers().join("calculator.wasm")).expect("it is built");
    let record = "[record]\ndirectory = \"SCRATCH/recordings\"\nmethods = \"*\"";
    let story = Story::configured(&[("calculator.wasm", &old)], record);
    let call = |method: &str, args: Value| {
        let context = json!({"request_id": "req-7", "auth_token": "gAAAAABtoken"});
        let request =
            json!({"topic": "conductor", "version": "1.3", "method": method, "args": args, "context": context});
        story.client.call(request)
    };
    call("add", json!({"a": 1, "b": 2})).expect("a sum");
    call("echo", json!({"value": {"admin_password": "hunter2hunter2"}})).expect("the value");
    call("divide", json!({"a": 1, "b": 0})).expect_err("it fails");
    let directory = story.scratch.path().join("recordings");
    eventually("three recordings", || (fs::read_dir(&directory).expect("it is there").count() == 3).then_some(()));
    let ran = story.add("calculator", &rebuilt(old), &["--gate", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?} {}", story.host.log());
    let log = story.host.log();
    assert!(log.contains("memory=1.5x (3 recording(s) of 3 method(s), "), "{log}");
}

#[test]
fn an_operator_demands_what_no_manifest_does_and_is_told_where_that_makes_no_sense() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    let wrong = story.add("a", &answering("2"), &["--gate", "speed"]);
    assert!(wrong.fails(2).contains("\"speed\" is no gate; there are: all, interface"), "{wrong:?}");
    assert_eq!(story.add("a", &answering("2"), &["--gate", "all", "--force"]).code, Some(2));
    let ran = story.add("a", &answering("2"), &["--gate", "recordings=5"]);
    assert!(ran.fails(3).contains("recordings: nothing is recorded here"), "{ran:?}");
    story.add("a", &answering("2"), &["--gate", "interface,imports,grants"]).succeeds();
    assert_eq!(story.answer(), 2);
    assert!(story.host.log().contains("gates passed: interface, imports, grants"), "{}", story.host.log());
    // Without recordings, a version that demands them is the last one, and that is said.
    story.scratch.write("new/a.toml", "gate.recordings = 5");
    story.add("a", &answering("2"), &["--force"]).succeeds();
    assert!(
        story.host.log().contains("its manifest demands of the next version: recordings=5"),
        "{}",
        story.host.log()
    );
}
