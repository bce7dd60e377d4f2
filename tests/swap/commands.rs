//! Exchange by commands: `nova-host handlers` against a running host.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{NOTICED, Story};
use crate::harness::{
    Serve, eventually,
    guest::{LOOP, answering, answering_with, guest},
};

/// The method `n` in place of `m`.
const METHOD_N: &str = r#"(data (i32.const 1010) "n")"#;

#[test]
fn a_version_that_is_added_is_served_listed_and_there_after_a_restart() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    assert_eq!(story.answer(), 1);
    assert_eq!(story.add("a", &answering("2"), &[]).succeeds(), "a is replaced: generation 2 instead of 1\n");
    assert_eq!(story.answer(), 2);
    assert_eq!(story.add("a", &answering("2"), &[]).succeeds(), "a is served already: generation 2\n");
    let other = answering_with("3", METHOD_N);
    assert_eq!(story.add("b", &other, &["--name", "c"]).succeeds(), "c is served: generation 3\n");
    assert_eq!(fs::read(story.file("c.wasm")).expect("it is there"), other);
    let list = story.handlers(&["list"]);
    let list = list.succeeds();
    assert!(list.contains("a\n  serving   generation 2, sha256:"), "{list}");
    assert!(list.contains("0 in flight, 1 accepted"), "{list}");
    assert!(list.contains("(no namespace) 1.0: m"), "{list}");
    assert!(list.contains("previous  generation 1"), "{list}");
    story.restart();
    assert_eq!((story.answer(), story.call("n").expect("a result")), (json!(2), json!(3)));
}

#[test]
fn what_cannot_serve_is_refused_with_the_reason_in_exit_code_list_and_log() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    let before = fs::read(story.file("a.wasm")).expect("it is there");
    story.answer();
    let nothing = answering_with("2", r#"(data (i32.const 104) "\00")"#);
    let traps = answering_with("2", "(func $die unreachable) (start $die)");
    for (component, options, expected) in [
        (&b"no component"[..], &[][..], "not WebAssembly"),
        (&answering("2")[..100], &["--force"], "does not compile"),
        (&nothing, &[], "describe returned no endpoint"),
        (&traps, &[], "describe failed"),
        (&answering_with("2", METHOD_N), &[], "drops m 1.0, called within the last 600s"),
    ] {
        let ran = story.add("a", component, options);
        assert!(ran.fails(3).contains(expected), "{ran:?}");
        assert!(story.listed("a")["refused"]["reason"].as_str().expect("a reason").contains(expected));
        assert!(story.host.log().contains(&format!("handler refused: {expected}")), "{}", story.host.log());
        assert_eq!(story.answer(), 1);
    }
    assert_eq!(fs::read(story.file("a.wasm")).expect("it is there"), before);
    let ran = story.handlers(&["add", "/nowhere/a.wasm"]);
    assert!(ran.fails(3).contains("cannot be read"), "{ran:?}");
    let json = story.add("a", b"no component", &["--json"]);
    json.fails(3);
    assert_eq!((&json.json()["answer"], &json.json()["kind"]), (&json!("failed"), &json!("refused")));
}

#[test]
fn a_method_in_use_goes_only_by_force() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    story.answer();
    let other = answering_with("2", METHOD_N);
    story.add("a", &other, &[]).fails(3);
    story.add("a", &other, &["--force"]).succeeds();
    assert_eq!(story.call("m").expect_err("it is gone").remote.expect("a RemoteError").exc_type, "NoSuchMethod");
    // Through the directory as well, and there the manifest says so.
    story.call("n").expect("a result");
    fs::write(story.file("a.wasm"), answering("3")).expect("it is writable");
    assert!(story.refusal("a").contains("drops n 1.0"));
    fs::write(story.file("a.toml"), "dropped = [\"n\"]").expect("it is writable");
    eventually("the new version", || story.call("m").ok().filter(|answer| *answer == 3));
}

#[test]
fn a_self_test_that_fails_keeps_a_version_out() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    story.scratch.write("new/a.toml", "[[selftest]]\nmethod = \"m\"\nexpect = 2");
    let ran = story.add("a", &answering("3"), &[]);
    assert!(ran.fails(3).contains("selftest of m: should return 2, returned 3"), "{ran:?}");
    assert_eq!(story.answer(), 1);
    story.add("a", &answering("2"), &[]).succeeds();
    assert_eq!(story.answer(), 2);
    assert!(fs::read_to_string(story.file("a.toml")).expect("it is there").contains("selftest"));
}

#[test]
fn a_rollback_is_at_once_survives_a_restart_and_the_bad_version_stays_away() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    fs::write(story.file("a.wasm"), answering("2")).expect("it is writable");
    story.becomes(&json!(1), &json!(2));
    assert_eq!(story.handlers(&["rollback", "a"]).succeeds(), "a is rolled back: generation 1 instead of 2\n");
    assert_eq!(story.answer(), 1);
    std::thread::sleep(NOTICED);
    assert_eq!(story.answer(), 1);
    let ran = story.handlers(&["rollback", "a"]);
    assert!(ran.fails(3).contains("no earlier version of a is kept"), "{ran:?}");
    story.restart();
    assert_eq!(story.answer(), 1);
    std::thread::sleep(NOTICED);
    assert_eq!(story.answer(), 1);
}

#[test]
fn a_request_ends_on_the_version_that_accepted_it_whose_memory_is_then_freed() {
    let slow = "[limits]\ntimeout = \"5s\"";
    let mut story = Story::begin(&[("a.wasm", &guest(LOOP)), ("a.toml", slow.as_bytes())]);
    let call = story.client.start_call(json!({"topic": "conductor", "method": "m", "timeout": 60}));
    eventually("the call to run", || (story.listed("a")["serving"]["in_flight"] == 1).then_some(()));
    story.scratch.write("new/a.toml", "[limits]\ntimeout = \"7s\"");
    for version in ["1", "2", "3"] {
        story.add("a", &answering(version), &[]).succeeds();
        assert_eq!(story.answer().to_string(), version);
    }
    // It ends as its own manifest says.
    let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerTimedOut");
    assert!(remote.value.as_str().expect("text").contains("within 5s"), "{:?}", remote.value);
    story.host.wait_for_log("generation freed handler=\"a\" generation=1 accepted=1");
    assert!(!story.host.log().contains("generation freed handler=\"a\" generation=2"));
}

#[test]
fn a_handler_that_is_removed_is_gone_from_service_and_directory() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", b"")]);
    assert_eq!(story.handlers(&["remove", "a"]).succeeds(), "a is removed\n");
    assert_eq!(story.call("m").expect_err("it is gone").remote.expect("a RemoteError").exc_type, "UnsupportedVersion");
    assert!(!story.file("a.wasm").exists() && !story.file("a.toml").exists());
    let ran = story.handlers(&["remove", "a"]);
    assert!(ran.fails(3).contains("no handler a; there are: none"), "{ran:?}");
    let list = story.handlers(&["list"]);
    assert!(list.succeeds().starts_with("no handler in "), "{list:?}");
}

#[test]
fn the_socket_is_private_and_a_host_that_lives_keeps_it() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let socket = story.scratch.path().join("control.sock");
    assert_eq!(fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777, 0o600);
    let config = story.scratch.path().join("nova-host.toml").display().to_string();
    let mut second = Serve::unready(["--config", &config, "--set", "server=host-2"]);
    assert_eq!(second.wait(crate::harness::PATIENCE).and_then(|status| status.code()), Some(2));
    assert!(second.log().contains("another host that runs has it; set control.socket"), "{}", second.log());
    assert_eq!(story.answer(), 1);
    // One that was killed leaves its socket behind, and nobody there.
    story.host.kill();
    assert!(socket.exists());
    let ran = story.handlers(&["list"]);
    assert!(ran.fails(6).contains("no host answers at"), "{ran:?}");
    story.host = Serve::with_config(&story.configuration());
    story.handlers(&["list"]).succeeds();
    assert!(story.host.stop().success() && !socket.exists());
}

#[test]
fn two_hosts_of_one_topic_are_exchanged_each_by_its_own_socket() {
    let first = Story::begin(&[("a.wasm", &answering("1"))]);
    let socket = first.scratch.path().join("second.sock").display().to_string();
    let config = first.scratch.path().join("nova-host.toml").display().to_string();
    let set = format!("control.socket={socket}");
    let (name, watch) = ("server=host-2", "handlers.watch=false");
    let _second = Serve::with_arguments(["--config", &config, "--set", &set, "--set", name, "--set", watch]);
    let ask = |server: &str| {
        first
            .client
            .call(json!({"topic": "conductor", "server": server, "method": "m", "timeout": 60}))
            .expect("a result")
    };
    first.add("a", &answering("2"), &["--set", &set]).succeeds();
    // The other host shares the directory, and finds the version there.
    eventually("both hosts", || (ask("host-1") == 2 && ask("host-2") == 2).then_some(()));
    first.handlers(&["rollback", "a"]).succeeds();
    assert_eq!((ask("host-1"), ask("host-2")), (json!(1), json!(2)));
}

#[test]
fn metrics_are_read_over_the_socket() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    story.answer();
    let ran = story.command(&["metrics"]);
    assert!(ran.succeeds().contains("nova_host_requests_total{handler=\"a\",outcome=\"replied\"} 1"), "{ran:?}");
}
