//! Versions that are tried on a share of the requests: one with a subtle fault is caught, an innocent one passes, and every call has one
//! answer, of one version.
//!
//! Calls are numbered, and a guest's fault depends on the number, which stands at the end of its arguments.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nova_host::{
    client::{Client, Error, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Ran, Story};
use crate::harness::{
    PATIENCE, client, eventually,
    guest::{DESCRIBE, answering, guest_with},
};

/// Calls that are outstanding at once.
const OUTSTANDING: usize = 12;

/// The first number: all have six digits.
const FIRST: u64 = 100_000;

/// Traps on one number of fifty, or of five hundred.
const TRAP_OF_50: &str = "(if (i32.eq (call $end) (i32.const 0x7d3737)) (then (unreachable)))
    (if (i32.eq (call $end) (i32.const 0x7d3132)) (then (unreachable)))";
pub(super) const TRAP_OF_500: &str = "(if (i32.eq (call $last) (i32.const 0x7d373737)) (then (unreachable)))
    (if (i32.eq (call $last) (i32.const 0x7d373731)) (then (unreachable)))";

/// Raises `E` on one number of ten.
const RAISE: &str = "(if (i32.eq (i32.shr_u (call $end) (i32.const 8)) (i32.const 0x7d37)) (then
    (i32.store8 (i32.const 400) (i32.const 1))
    (i32.store (i32.const 404) (i32.const 3900)) (i32.store (i32.const 408) (i32.const 1))
    (i32.store (i32.const 412) (i32.const 3900)) (i32.store (i32.const 416) (i32.const 1))
    (i32.store (i32.const 420) (i32.const 3900)) (i32.store (i32.const 424) (i32.const 1))
    (i32.store (i32.const 428) (i32.const 3901)) (i32.store (i32.const 432) (i32.const 2))
    (i32.store (i32.const 436) (i32.const 3903)) (i32.store (i32.const 440) (i32.const 2))
    (return (i32.const 400))))";

/// Computes for some milliseconds, so many times.
pub(super) fn computing(times: u32) -> String {
    format!("(call $compute (i64.const {}))", u64::from(times) * 8_000_000)
}

/// A component of which method `m` does this, and then answers with its version and its arguments.
pub(super) fn version(version: usize, first: &str) -> Vec<u8> {
    let before = format!("[{version}, ");
    let data = format!(
        r#"(data (i32.const 2000) "{before}") (data (i32.const 3900) "E[]{{}}")
        (global $at (mut i32) (i32.const 0))
        (func $last (result i32) (i32.load (global.get $at)))
        (func $end (result i32) (i32.shr_u (call $last) (i32.const 8)))
        (func $compute (param $times i64) (local $n i64) (loop $again
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (i64.store (i32.const 3000) (local.get $n))
            (br_if $again (i64.lt_u (local.get $n) (local.get $times)))))"#
    );
    let (length, middle) = (before.len(), 16384 + before.len());
    let handle = format!(
        "(global.set $at (i32.sub (i32.add (local.get 8) (local.get 9)) (i32.const 4)))
         {first}
         (memory.copy (i32.const 16384) (i32.const 2000) (i32.const {length}))
         (memory.copy (i32.const {middle}) (local.get 8) (local.get 9))
         (i32.store8 (i32.add (i32.const {middle}) (local.get 9)) (i32.const 93))
         (i32.store (i32.const 404) (i32.const 16384))
         (i32.store (i32.const 408) (i32.add (i32.const {}) (local.get 9)))
         (i32.const 400)",
        length + 1
    );
    guest_with(DESCRIBE, &handle, &data)
}

/// What calls came to.
#[derive(Default)]
struct Ledger {
    stop: AtomicBool,
    next: AtomicU64,
    /// Calls by the version that answered, and by the class of the failure.
    ended: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
    took: Mutex<Vec<Duration>>,
}

/// Callers, at full speed.
pub(super) struct Load {
    runtime: Runtime,
    ledger: Arc<Ledger>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Ledger {
    async fn call(&self, client: &Client) {
        let number = FIRST + self.next.fetch_add(1, Ordering::Relaxed);
        let context = format!(r#"{{"request_id": "req-{number}"}}"#);
        let invocation = Invocation {
            target: Target::new("nova", "conductor"),
            method: "m".to_owned(),
            arguments: Text::of(&json!({"n": number})),
            context: Context::from_json(&context).expect("an object"),
            origin: Provenance::default(),
        };
        let started = Instant::now();
        let ended = match client.call(invocation, PATIENCE).await {
            Ok(answer) => {
                let answer: Value = serde_json::from_str(answer.get()).expect("JSON");
                if answer[1] == json!({"n": number}) { answer[0].to_string() } else { format!("wrong: {answer}") }
            }
            Err(Error::Remote(failure)) => failure.class.clone(),
            Err(error) => format!("wrong: {error}"),
        };
        self.took.lock().expect("no holder panics").push(started.elapsed());
        if ended.starts_with("wrong") {
            self.wrong.lock().expect("no holder panics").push(format!("call {number}: {ended}"));
        }
        *self.ended.lock().expect("no holder panics").entry(ended).or_default() += 1;
    }

    fn tail(&self) -> (Duration, Duration) {
        let mut took = std::mem::take(&mut *self.took.lock().expect("no holder panics"));
        took.sort_unstable();
        (took[took.len() * 99 / 100], took[took.len() - 1])
    }
}

impl Load {
    pub(super) fn start(story: &Story) -> Self {
        let (runtime, client) = client(&story.vhost.url());
        let ledger = Arc::new(Ledger::default());
        let task = |_| {
            let (client, ledger): (Arc<Client>, _) = (Arc::clone(&client), Arc::clone(&ledger));
            runtime.spawn(async move {
                while !ledger.stop.load(Ordering::Relaxed) {
                    ledger.call(&client).await;
                }
            })
        };
        let tasks = (0..OUTSTANDING).map(task).collect();
        Self { runtime, ledger, tasks }
    }

    /// Waits for so many calls.
    pub(super) fn wait_for(&self, calls: u64) {
        let until = self.ledger.next.load(Ordering::Relaxed) + calls;
        eventually("calls", || (self.ledger.next.load(Ordering::Relaxed) >= until).then_some(()));
    }

    /// Ends it; gives how many calls there were, and what they came to.
    pub(super) fn finish(self) -> (u64, BTreeMap<String, u64>) {
        self.ledger.stop.store(true, Ordering::Relaxed);
        self.tasks.into_iter().for_each(|task| self.runtime.block_on(task).expect("no caller panics"));
        let wrong = self.ledger.wrong.lock().expect("no holder panics");
        assert!(wrong.is_empty(), "{} went wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        let ended = self.ledger.ended.lock().expect("no holder panics").clone();
        (self.ledger.next.load(Ordering::Relaxed), ended)
    }
}

impl Story {
    /// Tries a component as `a`, to the end.
    fn canary(&self, component: &[u8], options: &[&str]) -> Ran {
        let file = self.scratch.write("new/a.wasm", component).display().to_string();
        self.handlers(&[&["canary", &file], options].concat())
    }

    /// Requests that all generations of this host have accepted.
    fn accepted(&self) -> u64 {
        let listed = self.listed("a");
        let kept = [&listed["serving"]].into_iter().chain(listed["previous"].as_array().expect("a list"));
        let kept: u64 = kept.filter_map(|generation| generation["accepted"].as_u64()).sum();
        let log = self.host.log();
        let freed = log.lines().filter(|line| line.contains("generation freed"));
        let number = |line: &str| line.rsplit("accepted=").next()?.split_whitespace().next()?.parse::<u64>().ok();
        kept + freed.filter_map(number).sum::<u64>()
    }
}

/// Has a version caught under load, and sees to it that every call has run once.
fn is_caught(old: &str, new: &str, options: &[&str], expected: &str) {
    let mut story = Story::begin(&[("a.wasm", &version(1, old))]);
    let load = Load::start(&story);
    let ran = story.canary(&version(2, new), &[options, &["--every", "60s", "--wait"]].concat());
    let why = ran.fails(3);
    assert!(why.contains("the canary of a is rolled back: m: ") && why.contains(expected), "{ran:?}");
    // From the verdict on the old version has them all.
    load.wait_for(2 * OUTSTANDING as u64);
    let after = story.listed("a")["canary"]["new"]["requests"].clone();
    load.wait_for(100);
    assert_eq!(story.listed("a")["canary"]["new"]["requests"], after);
    let (calls, ended) = load.finish();
    assert!(ended.contains_key("1"), "{ended:?}");
    assert_eq!(eventually("all generations", || Some(story.accepted()).filter(|all| *all == calls)), calls);
    assert!(story.host.log().contains("canary rolled back: m: "), "{}", story.host.log());
    let list = story.handlers(&["list"]);
    assert!(list.succeeds().contains("rolled back") && list.succeeds().contains(expected), "{list:?}");
    story.restart();
    assert_eq!(story.client.call(json!({"topic": "conductor", "method": "m"})).expect("a result")[0], 1);
}

#[test]
fn a_canary_that_traps_on_some_inputs_is_taken_back_and_every_call_has_one_answer() {
    is_caught("", TRAP_OF_50, &["--steps", "20%"], "failed with trapped");
}

#[test]
fn a_canary_that_raises_what_the_old_version_does_not_is_taken_back() {
    is_caught("", RAISE, &["--steps", "20%"], "failed with E.E");
}

#[test]
fn a_canary_that_takes_twice_as_long_is_taken_back() {
    is_caught(&computing(1), &computing(2), &["--steps", "50%"], "were too slow");
}

#[test]
fn an_innocent_rebuild_passes_is_in_the_directory_and_serves_after_a_restart() {
    let mut story = Story::begin(&[("a.wasm", &version(1, RAISE))]);
    let load = Load::start(&story);
    let ran = story.canary(&version(2, RAISE), &["--steps", "20%,60%", "--every", "1s", "--wait"]);
    let shown = ran.succeeds();
    for step in [
        "a is on trial: generation 2 beside 1",
        "20% of requests, step 1 of 2",
        "60% of requests, step 2 of 2",
        "promoted",
    ] {
        assert!(shown.contains(step), "{step}: {shown}");
    }
    load.wait_for(100);
    let (calls, ended) = load.finish();
    assert!(ended["1"] > 0 && ended["2"] > 0 && ended["E"] > 0, "{ended:?}");
    assert_eq!(story.accepted(), calls);
    story.restart();
    assert_eq!(story.client.call(json!({"topic": "conductor", "method": "m"})).expect("a result")[0], 2);
}

#[test]
fn a_canary_outlives_the_command_that_began_it_and_ends_with_the_host() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let ran = story.canary(&answering("2"), &["--steps", "50%"]);
    assert!(ran.succeeds().starts_with("a is on trial: generation 2 beside 1\n"), "{ran:?}");
    assert!(story.canary(&answering("3"), &[]).fails(3).contains("a canary of a runs: end it first"));
    assert!(story.add("a", &answering("3"), &["--force"]).fails(3).contains("a canary of a runs"));
    assert_eq!(story.handlers(&["pause", "a"]).succeeds(), "the canary of a is paused\n");
    assert_eq!(story.listed("a")["canary"]["why"], "an operator has paused it");
    assert_eq!(story.handlers(&["resume", "a"]).succeeds(), "the canary of a goes on\n");
    eventually("both versions", || (story.answer() == 2).then_some(()));
    eventually("both versions", || (story.answer() == 1).then_some(()));
    story.restart();
    assert_eq!((story.listed("a")["canary"].clone(), story.answer()), (Value::Null, json!(1)));
    // And an operator may end it either way.
    story.canary(&answering("2"), &["--steps", "50%"]).succeeds();
    assert!(story.handlers(&["rollback", "a"]).fails(3).contains("`nova-host handlers abort a`"));
    assert!(story.handlers(&["abort", "a"]).succeeds().starts_with("the canary of a is ended"));
    assert!(story.handlers(&["abort", "a"]).fails(3).contains("no canary of a runs"));
    story.canary(&answering("2"), &["--steps", "50%"]).succeeds();
    assert_eq!(story.handlers(&["promote", "a"]).succeeds(), "a is replaced: generation 3 instead of 1\n");
    assert_eq!(story.answer(), 2);
    assert_eq!(story.handlers(&["promote", "a"]).succeeds(), "a is served already: generation 3\n");
    assert!(story.canary(&answering("4"), &["--steps", "50%,10%"]).fails(2).contains("does not rise"));
}

#[test]
fn who_follows_a_canary_is_told_where_nothing_more_comes_of_it_by_itself() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let file = story.scratch.write("new/a.wasm", answering("2")).display().to_string();
    let follow = |story: &Story| {
        let arguments = ["handlers", "canary", &file, "--steps", "50%", "--wait"];
        let mut command = story.prepared(&arguments);
        let following = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nova-host runs");
        eventually("a canary", || (story.listed("a")["canary"]["stage"] == "running").then_some(()));
        following
    };
    let told = |mut following: Child| {
        eventually("the end of who follows", || following.try_wait().expect("it is a child"));
        Ran::of(following.wait_with_output().expect("it has ended")).fails(3).to_owned()
    };
    let following = follow(&story);
    story.handlers(&["pause", "a"]).succeeds();
    assert!(told(following).contains("paused: an operator has paused it"));
    story.handlers(&["abort", "a"]).succeeds();
    let following = follow(&story);
    story.handlers(&["abort", "a"]).succeeds();
    assert!(told(following).contains("rolled back: an operator has taken it back"));
    let following = follow(&story);
    story.restart();
    let said = told(following);
    assert!(said.contains("its host is there no more") || said.contains("its host has restarted"), "{said}");
    let following = follow(&story);
    story.handlers(&["remove", "a"]).succeeds();
    assert!(told(following).contains("overtaken: the handler was removed"));
}

/// `cargo test --release -p nova-host --test e2e -- --ignored fifty_canaries --nocapture`
#[test]
#[ignore = "takes minutes: fifty canaries under load"]
fn fifty_canaries_are_taken_back_and_every_call_has_one_answer() {
    let story = Story::begin(&[("a.wasm", &version(1, ""))]);
    let load = Load::start(&story);
    load.wait_for(5_000);
    let (calm, calm_longest) = load.ledger.tail();
    for number in 0..50 {
        let fault = [TRAP_OF_500, TRAP_OF_50, RAISE][number % 3];
        let ran = story.canary(&version(2 + number, fault), &["--steps", "10%,50%", "--every", "60s", "--wait"]);
        let why = ran.fails(3);
        assert!(why.contains("is rolled back: m: "), "{why}");
    }
    let (busy, busy_longest) = load.ledger.tail();
    load.wait_for(100);
    let (calls, ended) = load.finish();
    eprintln!(
        "{calls} calls over fifty canaries; without one 99% within {calm:?}, the longest {calm_longest:?}; with them {busy:?} and \
         {busy_longest:?}; answers by the old version {}, traps {:?}, exceptions {:?}",
        ended["1"],
        ended.get("HandlerTrapped"),
        ended.get("E"),
    );
    assert_eq!(eventually("all generations", || Some(story.accepted()).filter(|all| *all == calls)), calls);
    assert!(busy < 10 * calm + Duration::from_millis(500), "{busy:?} with canaries, {calm:?} without");
    story.vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
}
