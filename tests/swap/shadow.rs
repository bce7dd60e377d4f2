//! Versions that only see requests after they are answered: what does otherwise is named, what is innocent passes, and nothing leaves.

use std::{
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use super::{
    Ran, Story,
    canary::{Load, TRAP_OF_500, computing, version},
};
use crate::harness::{
    eventually,
    guest::{Asks, CAST, ECHO, answering, asking, timed},
};

/// All requests are compared.
const ALL: &[&str] = &["--share", "100%"];

/// The same component, built again: it has a section more that says so.
fn rebuilt(component: &[u8]) -> Vec<u8> {
    [component, b"\x00\x0b\x05built", b"again"].concat()
}

impl Story {
    fn candidate(&self, component: &[u8]) -> PathBuf {
        self.scratch.write("new/a.wasm", component)
    }

    /// Compares a component as `a`.
    fn shadow(&self, component: &[u8], options: &[&str]) -> Ran {
        let file = self.candidate(component).display().to_string();
        self.handlers(&[&["shadow", &file], ALL, options].concat())
    }

    /// Begins one, and leaves who follows it to its end.
    fn followed(&self, component: &[u8], options: &[&str]) -> Child {
        let file = self.candidate(component).display().to_string();
        let mut command = self.prepared(&[&["handlers", "shadow", &file, "--wait"], ALL, options].concat());
        let following = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nova-host runs");
        eventually("a shadow", || (self.found()["stage"] == "running").then_some(()));
        following
    }

    /// What is found so far.
    fn found(&self) -> Value {
        self.listed("a")["shadow"].clone()
    }

    /// Waits until so many requests are compared.
    fn compared(&self, number: u64) -> Value {
        eventually("comparisons", || {
            let found = self.found();
            let compared = found["compared"].as_object().expect("counts");
            (compared.values().filter_map(Value::as_u64).sum::<u64>() >= number).then_some(found)
        })
    }

    fn calls(&self, number: usize) {
        (0..number).for_each(|_| drop(self.call("m").expect("the live version answers")));
    }
}

fn told(mut following: Child) -> Ran {
    eventually("the end of who follows", || following.try_wait().expect("it is a child"));
    Ran::of(following.wait_with_output().expect("it has ended"))
}

/// A component that answers with the time that is left, and a number.
fn looking(number: u32, later: u32) -> Vec<u8> {
    let text = format!(r#"{{\22n\22:{number},\22at\22:0}}"#);
    timed(
        &format!(
            "(i32.store8 (i32.const 2012) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u
                (i64.add (call $left) (i64.const {later})) (i64.const 10)))))
             (i32.store (i32.const 404) (i32.const 2000)) (i32.store (i32.const 408) (i32.const 14)) (i32.const 400)"
        ),
        &format!(r#"(data (i32.const 2000) "{text}")"#),
    )
}

#[test]
fn an_innocent_rebuild_is_the_same_and_who_waits_for_it_is_told() {
    let answer = answering(r#"{"name": "a", "tags": [1, 2]}"#);
    let story = Story::begin(&[("a.wasm", &answer)]);
    let following = story.followed(&rebuilt(&answer), &["--until", "20"]);
    story.calls(25);
    let ran = told(following);
    let shown = ran.succeeds();
    for line in
        ["a is shadowed: requests of generation 1 are compared with generation 2", "20 compared: 20 same, 0 differ"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let found = story.found();
    assert_eq!((&found["stage"], &found["compared"]["same"]), (&json!("done"), &json!(20)));
    // Nothing is served by it, and nothing is in the directory.
    assert_eq!(story.listed("a")["serving"]["generation"], 1);
    assert_eq!(std::fs::read(story.file("a.wasm")).expect("it is there"), answer);
    let metrics = story.command(&["metrics"]);
    assert!(metrics.succeeds().contains(r#"nova_host_shadow_total{handler="a",outcome="same"} 20"#), "{metrics:?}");
    assert_eq!(
        story.handlers(&["shadow", &story.file("a.wasm").display().to_string()]).succeeds(),
        "a is served already: generation 1\n"
    );
}

#[test]
fn a_renamed_field_is_named_by_its_path_and_a_recording_shows_the_rest() {
    let (old, new) = (r#"{"i":[{"name":"s3cr3t"},{"name":"b"}]}"#, r#"{"i":[{"title":"s3cr3t"},{"title":"b"}]}"#);
    let scratch = crate::harness::Scratch::new();
    let directory = scratch.path().join("recordings").display().to_string();
    let more = format!("[record]\ndirectory = \"{directory}\"\nshare = \"100%\"");
    let story = Story::configured(&[("a.wasm", &answering(old))], &more);
    let following = story.followed(&answering(new), &["--until", "5"]);
    story.calls(6);
    assert!(told(following).fails(3).contains("the shadow of a has found 5 of 5 not the same"));
    let list = story.handlers(&["list"]);
    for line in [
        "5 compared: 0 same, 5 differ, 0 diverged, 0 failed",
        "m: 5 times differs, /i/*/name: missing (text)",
        "m: 5 times differs, /i/*/title: new (text)",
        "such as request ",
    ] {
        assert!(list.succeeds().contains(line), "{line}: {list:?}");
    }
    let found = story.found();
    assert!(!found.to_string().contains("s3cr3t"), "{found}");
    let log = story.host.log();
    assert!(!log.contains("s3cr3t") && log.contains("the new version does otherwise"), "{log}");
    assert_eq!(log.matches("the new version does otherwise").count(), 2, "each place once: {log}");
    let recording = found["methods"][0]["examples"][0]["recording"].as_str().expect("a recording").to_owned();
    let file = story.candidate(&answering(new)).display().to_string();
    eventually("the recording", || {
        let replayed = story.command(&["replay", &recording, "--handler", &file]);
        (replayed.code == Some(3) && replayed.stdout.contains("/i/0/name")).then_some(())
    });
    // With what may differ, it is the same.
    let following =
        story.followed(&answering(new), &["--until", "5", "--ignore", "/i/*/name", "--ignore", "/**/title"]);
    story.calls(6);
    told(following).succeeds();
}

#[test]
fn casts_in_another_order_diverge_and_none_of_them_leaves() {
    let asks = Asks { broker: None, topic: "sink", method: "both", arguments: "{}", server: None, timeout_ms: None };
    // The method is `both` or, cut, `bot`.
    let cut = |length: u32| format!("(i32.store (i32.const 3060) (i32.const {length}))");
    let casts = |first, second| asking(asks, &format!("{} {CAST} {} {CAST} {ECHO}", cut(first), cut(second)));
    let grants = b"grants.rpc = [\"sink/*\"]";
    let story = Story::begin(&[("a.wasm", &casts(4, 3)), ("a.toml", grants)]);
    story.vhost.declare_queue("sink", &json!({}));
    story.vhost.bind("nova", "sink", "sink");
    story.shadow(&casts(3, 4), &[]).succeeds();
    story.calls(7);
    let found = story.compared(7);
    assert_eq!(found["compared"], json!({"same": 0, "differs": 0, "diverged": 7, "failed": 0}));
    let place = &found["methods"][0]["places"][0];
    assert_eq!((&place["place"], &place["how"]), (&json!("nova:rpc/client.cast"), &json!("asked for something else")));
    story.vhost.eventually("sink", |queue| queue.ready == 14);
    let sent: Vec<String> = story.vhost.take("sink", 100).iter().map(|message| format!("{message:?}")).collect();
    assert_eq!(sent.len(), 14, "two for each call: {sent:?}");
}

#[test]
fn a_trap_on_one_input_in_five_hundred_is_found_and_no_caller_sees_it() {
    let story = Story::begin(&[("a.wasm", &version(1, ""))]);
    story.shadow(&version(1, TRAP_OF_500), &[]).succeeds();
    let load = Load::start(&story);
    let found = eventually("a trap", || Some(story.found()).filter(|found| found["compared"]["failed"] != 0));
    let (_, ended) = load.finish();
    assert_eq!(ended.keys().collect::<Vec<_>>(), ["1"], "all are answered by the live version");
    let method = &found["methods"][0];
    assert_eq!(method["places"][0]["how"], "trapped in place of replied", "{found}");
    assert_eq!((&found["compared"]["differs"], &found["compared"]["diverged"]), (&json!(0), &json!(0)), "{found}");
    assert!(method["examples"][0]["request_id"].as_str().expect("an id").starts_with("req-"), "{found}");
}

#[test]
fn a_version_that_looks_at_the_clock_is_found_and_noise_is_what_both_make_of_it() {
    let story = Story::begin(&[("a.wasm", &answering(r#"{"n":1,"at":"never"}"#))]);
    story.shadow(&looking(1, 0), &[]).succeeds();
    story.calls(3);
    let found = story.compared(3);
    assert_eq!(found["methods"][0]["places"][0]["place"], "/at", "{found}");
    // One that serves and looks at the clock: another look is another answer.
    let story = Story::begin(&[("a.wasm", &looking(1, 0))]);
    story.shadow(&looking(1, 3), &[]).succeeds();
    story.calls(20);
    assert_eq!(story.compared(20)["compared"]["differs"], 20);
    story.handlers(&["abort", "a"]).succeeds();
    story.shadow(&looking(1, 3), &["--noise"]).succeeds();
    story.calls(20);
    let found = story.compared(15);
    assert_eq!((&found["compared"]["differs"], &found["methods"][0]["noise"]), (&json!(0), &json!(["/at"])), "{found}");
    story.handlers(&["abort", "a"]).succeeds();
    story.shadow(&looking(2, 3), &["--noise"]).succeeds();
    story.calls(20);
    let found = story.compared(20);
    assert_eq!((&found["compared"]["differs"], &found["methods"][0]["counts"]["differs"]), (&json!(20), &json!(20)));
    let places = found["methods"][0]["places"].as_array().expect("a list");
    assert!(places.iter().any(|place| place["place"] == "/n"), "{found}");
}

#[test]
fn a_shadow_stands_in_nobodys_way_and_ends_with_what_serves() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let stage = |story: &Story| story.found()["stage"].clone();
    assert!(story.handlers(&["abort", "a"]).fails(3).contains("no canary of a runs, and no shadow"));
    let ran = story.shadow(&answering("2"), &[]);
    assert!(ran.succeeds().starts_with("a is shadowed: "), "{ran:?}");
    assert!(story.shadow(&answering("3"), &[]).fails(3).contains("a shadow of a runs: end it first"));
    assert_eq!(story.handlers(&["abort", "a"]).succeeds(), "the shadow of a is ended\n");
    assert_eq!(stage(&story), "aborted");
    // What comes into force, goes back, or goes.
    story.shadow(&answering("2"), &[]).succeeds();
    story.add("a", &answering("4"), &[]).succeeds();
    assert_eq!((stage(&story), story.answer()), (json!("overtaken"), json!(4)));
    story.shadow(&answering("2"), &[]).succeeds();
    story.handlers(&["rollback", "a"]).succeeds();
    assert_eq!((stage(&story), story.answer()), (json!("overtaken"), json!(1)));
    // A canary of the same version is the next step.
    story.shadow(&answering("2"), &[]).succeeds();
    let file = story.candidate(&answering("2")).display().to_string();
    story.handlers(&["canary", &file, "--steps", "50%"]).succeeds();
    assert_eq!((stage(&story), &story.found()["why"]), (json!("overtaken"), &json!("a canary has begun")));
    assert!(story.shadow(&answering("2"), &[]).fails(3).contains("a canary of a runs: end it first"));
    assert!(story.handlers(&["abort", "a"]).succeeds().starts_with("the canary of a is ended"));
    // A restart knows nothing of it.
    let following = story.followed(&answering("2"), &[]);
    story.restart();
    told(following).fails(3);
    assert_eq!((story.found(), story.answer()), (Value::Null, json!(1)));
    let following = story.followed(&answering("2"), &[]);
    story.handlers(&["remove", "a"]).succeeds();
    assert!(told(following).fails(3).contains("the shadow of a is "), "it is said");
    assert!(story.shadow(&answering("2"), &[]).fails(3).contains("no version of a serves"));
    let wrong = story.shadow(&answering("2"), &["--ignore", "no path"]);
    assert!(wrong.fails(2).contains("ignore: "), "{wrong:?}");
}

#[test]
fn what_a_slow_version_has_no_time_for_is_dropped_and_counted_and_every_call_is_answered() {
    let story = Story::begin(&[("a.wasm", &version(1, ""))]);
    story.shadow(&version(1, &computing(20)), &[]).succeeds();
    let load = Load::start(&story);
    let found = eventually("drops", || {
        let found = story.found();
        (found["not_compared"]["dropped"] != 0 && found["compared"]["same"] != 0).then_some(found)
    });
    load.wait_for(200);
    let (calls, ended) = load.finish();
    assert_eq!(ended, [("1".to_owned(), calls)].into(), "{found}");
    // It lets go at once of what waits.
    story.handlers(&["abort", "a"]).succeeds();
    let found = story.found();
    let metrics = story.command(&["metrics"]);
    let dropped =
        format!(r#"nova_host_shadow_total{{handler="a",outcome="dropped"}} {}"#, found["not_compared"]["dropped"]);
    assert!(metrics.succeeds().contains(&dropped), "{dropped}: {metrics:?}");
}

#[test]
fn a_version_that_never_ends_is_ended_at_its_limit() {
    let manifest = b"limits.timeout = \"1s\"";
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", manifest)]);
    story.shadow(&crate::harness::guest::guest(crate::harness::guest::LOOP), &[]).succeeds();
    story.calls(2);
    let found = story.compared(2);
    assert_eq!(found["methods"][0]["places"][0]["how"], "timed_out in place of replied", "{found}");
    assert_eq!(story.answer(), 1);
}
