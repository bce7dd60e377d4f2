//! Versions side by side, manifests that rename and restrict, and the catalog over the wire.

use serde_json::json;

use super::Story;
use crate::harness::Scratch;
use crate::harness::guest::{Asks, ECHO, answering, answering_with, asking, counting};

/// A call by oslo.messaging of method `m`.
fn call(namespace: Option<&str>, version: &str) -> serde_json::Value {
    let mut call = json!({"topic": "conductor", "method": "m", "version": version, "timeout": 60});
    if let Some(namespace) = namespace {
        call["namespace"] = json!(namespace);
    }
    call
}

/// One component under four names.
fn four_versions() -> Story {
    let text = |manifest: &'static str| manifest.as_bytes();
    Story::begin(&[
        ("a.wasm", &answering("1")),
        ("b.wasm", &answering("2")),
        ("b.toml", text("[[endpoint]]\nversion = \"1.5\"")),
        ("c.wasm", &answering("3")),
        ("c.toml", text("[[endpoint]]\nversion = \"2.0\"\n[limits]\ntimeout = \"9s\"")),
        ("d.wasm", &answering("4")),
        (
            "d.toml",
            text(
                "[[endpoint]]\nnamespace = \"task\"\nversion = \"1.10\"\n[[selftest]]\nmethod = \"m\"\nnamespace = \"task\"",
            ),
        ),
    ])
}

#[test]
fn the_highest_version_that_fits_answers() {
    let story = four_versions();
    for (namespace, version, answer) in
        [(None, "1.0", 2), (None, "1.5", 2), (None, "2.0", 3), (Some("task"), "1.9", 4), (Some("task"), "1.10", 4)]
    {
        assert_eq!(story.client.call(call(namespace, version)).expect("a result"), answer, "{namespace:?} {version}");
    }
    for (namespace, version) in [(None, "1.6"), (None, "3.0"), (Some("task"), "2.0"), (Some("tusk"), "1.0")] {
        let refused = story.client.call(call(namespace, version)).expect_err("nobody answers");
        assert_eq!(refused.remote.expect("a RemoteError").exc_type, "UnsupportedVersion");
    }
    // The older one takes over where the newer one goes.
    story.handlers(&["remove", "b"]).succeeds();
    assert_eq!(story.client.call(call(None, "1.0")).expect("a result"), 1);
}

#[test]
fn check_and_inspect_tell_what_the_manifest_makes_of_a_component() {
    let story = four_versions();
    let check = story.command(&["check"]);
    let check = check.succeeds();
    assert!(check.contains("serves   (no namespace) 1.5 (offered as (no namespace) 1.0): m"), "{check}");
    assert!(check.contains("serves   task 1.10 (offered as (no namespace) 1.0): m"), "{check}");
    assert!(check.contains("limits   timeout 9s, memory 64 MiB"), "{check}");
    assert!(check.contains("selftest 1 passed"), "{check}");
    let json = story.command(&["check", "--json"]).json();
    assert_eq!(json["handlers"][3]["endpoints"][0]["offered_as"], json!({"namespace": null, "version": "1.0"}));
    let inspected = story.command(&["inspect", &story.file("d.wasm").display().to_string()]);
    assert!(inspected.succeeds().contains("serves   task 1.10 (offered as"), "{inspected:?}");

    story.scratch.write("handlers/e.wasm", answering("5"));
    for (manifest, expected) in [
        ("[[endpoint]]\nmethods = [\"x\"]", "(no namespace) 1.0 has no method x; it has: m"),
        ("[[endpoint]]\noffered.version = \"3.0\"", "there are: (no namespace) 1.0"),
        ("[[endpoint]]\nhide = [\"m\"]", "offers no method: its manifest hides them all"),
        ("[[endpoint]]\nnamespace = \"nova_host\"", "offers namespace nova_host, which is the host's own"),
        ("[[endpoint]]\nversion = \"2.0\"", "offers m 2.0, which c serves already"),
        ("[[endpont]]\nversion = \"2.0\"", "endpont: no such setting"),
    ] {
        story.scratch.write("handlers/e.toml", manifest);
        let check = story.command(&["check"]);
        check.fails(3);
        assert!(check.stdout.contains("e.wasm: ") && check.stdout.contains(expected), "{manifest}: {check:?}");
    }
}

#[test]
fn a_client_can_ask_what_the_service_answers() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    let ask = |args: serde_json::Value| {
        let ask = json!({"topic": "conductor", "namespace": "nova_host", "method": "describe", "args": args});
        story.client.call(ask)
    };
    let said = ask(json!({})).expect("a result");
    assert_eq!(said["host"]["version"], env!("CARGO_PKG_VERSION"));
    let [handler] = said["handlers"].as_array().expect("a list").as_slice() else { panic!("{said}") };
    assert_eq!((&handler["name"], &handler["generation"]), (&json!("a"), &json!(1)));
    assert_eq!(handler["endpoints"], json!([{"namespace": null, "version": "1.0", "methods": ["m"]}]));
    let digest = handler["digest"].as_str().expect("text").to_owned();
    assert_eq!(story.listed("a")["serving"]["digest"], digest);
    // After an exchange it is the new one that is told.
    let other = answering_with("2", r#"(data (i32.const 1000) "1.7")"#);
    story.add("a", &other, &[]).succeeds();
    let said = ask(json!({})).expect("a result");
    assert_eq!(said["handlers"][0]["endpoints"][0]["version"], "1.7");
    assert_ne!(said["handlers"][0]["digest"], digest);
    let mistaken = ask(json!({"verbose": true})).expect_err("it takes no arguments");
    assert_eq!(mistaken.class, "TypeError");
}

#[test]
fn a_version_that_wants_more_than_the_one_before_is_refused_until_it_is_granted() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    let asks =
        Asks { broker: None, topic: "compute", method: "build", arguments: "{}", server: None, timeout_ms: None };
    let wants_more = asking(asks, ECHO);
    let refused = story.add("a", &wants_more, &[]);
    let refused = refused.fails(3);
    assert!(refused.contains("imports nova:rpc/client@0.1.0, which is not granted (grants.rpc)"), "{refused}");
    assert_eq!(story.answer(), 1);

    let manifest = "grants.rpc = [\"compute.build\", \"scheduler/*\"]\n[config]\ncity = \"Oslo\"\n\
                    token = { value = \"hush-hush\", secret = true }";
    story.scratch.write("new/a.toml", manifest);
    story.add("a", &wants_more, &[]).succeeds();
    assert_eq!(story.answer(), json!({}));
    let file = story.file("a.wasm").display().to_string();
    let inspected = story.command(&["inspect", &file]);
    let inspected = inspected.succeeds();
    assert!(inspected.contains("wants    nova:rpc/client, granted: compute.build, scheduler/*"), "{inspected}");
    assert!(inspected.contains("config   city = Oslo\nconfig   token = ***"), "{inspected}");
    let json = story.command(&["inspect", &file, "--json"]);
    assert_eq!(json.json()["grants"][0]["granted"], json!(["compute.build", "scheduler/*"]));
    assert_eq!(json.json()["config"], json!({"city": "Oslo", "token": "***"}));
    assert!(!story.host.log().contains("hush-hush") && !json.stdout.contains("hush-hush"));

    // Granted and not wanted is said, and harmless.
    story.scratch.write("new/a.toml", "grants.rpc = [\"compute.build\"]");
    story.add("a", &answering("3"), &[]).succeeds();
    let inspected = story.command(&["inspect", &file]);
    assert!(inspected.succeeds().contains("granted  nova:rpc/client, and not wanted: compute.build"), "{inspected:?}");
}

#[test]
fn state_outlives_versions_and_restarts() {
    let directory = Scratch::new();
    let path = format!("keyvalue.path = \"{}/state\"", directory.path().display());
    let grant = "grants.keyvalue = true";
    let other = format!("{grant}\n[[endpoint]]\nversion = \"2.0\"");
    let (component, grant) = (counting(""), grant.as_bytes());
    let files = [("a.wasm", &*component), ("a.toml", grant), ("b.wasm", &*component), ("b.toml", other.as_bytes())];
    let mut story = Story::configured(&files, &path);
    assert_eq!([story.answer(), story.answer()], [1, 2]);
    let replaced = story.add("a", &counting(r#"(data (i32.const 2010) "another")"#), &[]);
    assert!(replaced.succeeds().contains("replaced"), "{replaced:?}");
    assert_eq!(story.answer(), 3);
    story.restart();
    assert_eq!(story.answer(), 4);
    // Nothing of it is its neighbour's.
    let other = story.client.call(json!({"topic": "conductor", "method": "m", "version": "2.0", "timeout": 60}));
    assert_eq!(other.expect("a result"), 1);
}
