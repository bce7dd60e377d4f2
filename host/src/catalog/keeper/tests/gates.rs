//! Gates: a version with a subtle fault is refused with what it does otherwise, and an innocent one passes all of them.

use super::*;
use crate::{
    envelope::Text,
    recording::{Ended, Recording, file, sample},
    sandbox::{Tape, ended},
    testing::{Asks, CALL, CAST, DESCRIBE, ECHO, LOOP, asking, guest_with},
};

#[path = "gates/recordings.rs"]
mod recordings;

/// A keeper whose handler `a` is recorded.
struct Recorded {
    story: Story,
    recordings: tempfile::TempDir,
}

/// Handles with this, after it has seen which arguments come: `$last` are their last four bytes.
fn seeing(first: &str) -> Vec<u8> {
    let fields = "(global $at (mut i32) (i32.const 0))
        (func $last (result i32) (i32.load (i32.sub (global.get $at) (i32.const 4))))
        (func $compute (local $n i32) (loop $again
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (i32.store (i32.const 3000) (local.get $n))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 30000000)))))";
    let handle = format!("(global.set $at (i32.add (local.get 8) (local.get 9))) {first} {ECHO}");
    guest_with(DESCRIBE, &handle, fields)
}

/// The same component with other bytes: a section that says nothing.
fn rebuilt(mut wasm: Vec<u8>) -> Vec<u8> {
    wasm.extend_from_slice(&[0, 6, 4, b'n', b'o', b't', b'e', b'!']);
    wasm
}

fn gates(words: &str) -> Terms {
    Terms::read(false, &Wishes::of(&[words], Vec::new()).unwrap()).unwrap()
}

impl Recorded {
    async fn begin(wasm: &[u8], manifest: &str) -> Self {
        let (directory, recordings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(directory.path().join("a.wasm"), wasm).unwrap();
        fs::write(directory.path().join("a.toml"), manifest).unwrap();
        let config = load::Config { directory: directory.path().to_owned(), ..load_config() };
        let (policy, metrics) = (Policy::default(), Metrics::default());
        let at = Some(recordings.path().to_owned());
        let keeper = Keeper::with_recordings(&config, &wide(), policy, sandbox(), metrics, at);
        keeper.load().await.unwrap();
        Self { story: Story { directory, keeper }, recordings }
    }

    /// Runs a request of `m` in what serves, and gives its recording.
    async fn run(&self, number: u64, arguments: &str) -> Recording {
        use crate::testing::invocation;
        let serving = self.story.serving("a").unwrap();
        let tape = Tape::recording(1 << 20, true);
        let mut invocation = invocation("m", arguments);
        invocation.info.tape = tape.clone();
        let answer = serving.program.handle(invocation).await;
        let taped = tape.taken().unwrap();
        assert_eq!(taped.ended, Some(ended(&answer)));
        let mut recording = sample();
        let endpoint = &serving.endpoints[0];
        (recording.request.namespace, recording.request.version) =
            (endpoint.namespace.clone(), endpoint.version.to_string());
        recording.id = format!("{number:013}-0123456789ab");
        recording.handler.name = "a".to_owned();
        recording.handler.digest = serving.program.digest().as_str().to_owned();
        recording.request.arguments = Text::parse(arguments.to_owned()).unwrap();
        Recording { calls: taped.calls, ended: taped.ended.unwrap(), served: taped.served, ..recording }
    }

    fn keep(&self, recording: &Recording) {
        fs::write(self.path(&recording.id), file::encode(recording)).unwrap();
    }

    fn path(&self, id: &str) -> std::path::PathBuf {
        self.recordings.path().join(format!("{id}.recording.zst"))
    }

    async fn record(&self, arguments: &[&str]) {
        for (number, arguments) in (1..).zip(arguments) {
            self.keep(&self.run(number, arguments).await);
        }
    }

    async fn add(&self, wasm: &[u8], manifest: Option<&str>, terms: Terms) -> Result<Change, Error> {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("a.wasm");
        fs::write(&file, wasm).unwrap();
        if let Some(manifest) = manifest {
            fs::write(file.with_extension("toml"), manifest).unwrap();
        }
        self.story.keeper.add(&file, None, terms).await
    }

    /// Is refused, and what serves goes on.
    async fn refuses(&self, wasm: &[u8], words: &str) -> String {
        let serving = self.story.serving("a").unwrap().number;
        let error = self.add(wasm, None, gates(words)).await.unwrap_err();
        assert!(matches!(error, Error::Gate(_)), "{error}");
        assert_eq!(self.story.serving("a").unwrap().number, serving);
        assert_eq!(self.story.refusal("a"), Some(error.to_string()));
        error.to_string()
    }

    async fn passes(&self, wasm: &[u8], words: &str) {
        let change = self.add(wasm, None, gates(words)).await.unwrap();
        assert!(matches!(change, Change::Replaced { .. }), "{change:?}");
    }

    fn counted(&self) -> Vec<String> {
        let text = self.story.keeper.metrics.encode();
        let lines = text.lines().filter(|line| line.starts_with("nova_host_gates_failed_total{"));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

#[tokio::test]
async fn an_innocent_rebuild_passes_all_gates() {
    let old = seeing("");
    let recorded = Recorded::begin(&old, "").await;
    recorded.record(&["{}", r#"{"a": 1}"#, r#"{"b": [1, 2]}"#]).await;
    recorded.passes(&rebuilt(old), "all").await;
    assert_eq!(recorded.counted(), [""; 0]);
}

#[tokio::test]
async fn a_field_that_is_renamed_is_named_with_the_recording_and_its_path() {
    let recorded = Recorded::begin(&answering(r#"{"id": 7, "x": {"host": "h"}}"#), "").await;
    recorded.record(&["{}"]).await;
    let new = answering(r#"{"id": 7, "x": {"node": "h"}}"#);
    let why = recorded.refuses(&new, "recordings").await;
    assert!(
        why.starts_with(
            "does not pass: recordings: 0000000000001-0123456789ab (m): result /x/host: expected \"h\", is not there, \
             result /x/node: is new, \"h\" (`nova-host replay RECORDING"
        ),
        "{why}"
    );
    assert_eq!(recorded.counted(), [r#"nova_host_gates_failed_total{gate="recordings"} 1"#]);
    // Where the operator allows for it, or insists.
    let wishes = Wishes::of(&["recordings"], vec!["/x/*".to_owned()]).unwrap();
    recorded.add(&new, None, Terms::read(false, &wishes).unwrap()).await.unwrap();
    let recorded = Recorded::begin(&answering("1"), "gate.recordings = 1").await;
    recorded.record(&["{}"]).await;
    recorded.add(&answering("2"), None, Terms::Force).await.unwrap();
}

#[tokio::test]
async fn a_trap_on_one_input_of_many_is_found_where_it_was_recorded() {
    let recorded = Recorded::begin(&seeing(""), "").await;
    let arguments: Vec<String> = (0..30).map(|number| format!(r#"{{"n": {}}}"#, 100 + number)).collect();
    recorded.record(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // The end of `{"n": 117}`.
    let trap = "(if (i32.eq (call $last) (i32.const 0x7d373131)) (then (unreachable)))";
    let why = recorded.refuses(&seeing(trap), "recordings=30").await;
    assert!(why.contains("0000000000018-0123456789ab (m): expected replied, got trapped: "), "{why}");
    assert_eq!(why.matches("0123456789ab").count(), 1, "{why}");
    // It is not among the latest ten.
    recorded.passes(&seeing(trap), "recordings=10").await;
}

#[tokio::test]
async fn calls_in_another_order_are_named_by_their_import() {
    let asks = Asks { broker: None, topic: "t", method: "ab", arguments: "{}", server: None, timeout_ms: None };
    let casts = |first: u32, second: u32| {
        let method = |at: u32| {
            format!(
                "(i32.store (i32.const 3056) (i32.const {})) (i32.store (i32.const 3060) (i32.const 1)) {CAST}",
                3201 + at
            )
        };
        let end =
            "(i32.store (i32.const 404) (i32.const 3903)) (i32.store (i32.const 408) (i32.const 2)) (i32.const 400)";
        asking(asks, &format!("{} {} {end}", method(first), method(second)))
    };
    let manifest = "grants.rpc = [\"t/*\"]";
    let recorded = Recorded::begin(&casts(0, 1), manifest).await;
    // Nobody takes casts here, so that the tape is told that somebody did.
    let mut recording = recorded.run(1, "{}").await;
    let first = recording.calls[0].clone();
    let asked = first.asked.get().replace("\"method\":\"a\"", "\"method\":\"b\"");
    let done = Some(Text::parse(r#"{"Ok":null}"#.to_owned()).unwrap());
    let second = crate::recording::Call { asked: Text::parse(asked).unwrap(), ..first.clone() };
    recording.calls = [first, second].map(|call| crate::recording::Call { answer: done.clone(), ..call }).into();
    recording.ended = Ended::Replied(Text::parse("{}".to_owned()).unwrap());
    recorded.keep(&recording);
    let why = recorded.refuses(&casts(1, 0), "recordings").await;
    assert!(why.contains("(m): call 1: nova:rpc/client.cast: expected nova:rpc/client.cast "), "{why}");
    recorded.passes(&rebuilt(casts(0, 1)), "all").await;
}

#[tokio::test]
async fn one_that_is_much_slower_or_larger_is_named_by_its_method() {
    let recorded = Recorded::begin(&seeing(""), "").await;
    recorded.record(&["{}", r#"{"a": 1}"#, r#"{"a": 2}"#]).await;
    let why = recorded.refuses(&seeing("(call $compute)"), "latency=3x").await;
    assert!(why.contains("latency: 000000000000") && why.contains("times as slow in the median of 3 rec"), "{why}");
    // What cannot be measured passes as little as what is slow.
    let why = recorded.refuses(&guest("(unreachable)"), "memory").await;
    assert!(why.contains("memory: m: it goes another way in each recording"), "{why}");
    let large = seeing("(drop (memory.grow (i32.const 100)))");
    let why = recorded.refuses(&large, "memory,latency=1000x").await;
    assert!(why.contains(" times the memory, and 1.5x is allowed: ") && why.contains("latency").eq(&false), "{why}");
    // Its answers are the same.
    recorded.passes(&large, "recordings").await;
}

#[tokio::test]
async fn one_that_does_not_end_is_refused_and_holds_up_nobody_for_long() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    recorded.record(&["{}"]).await;
    let why = recorded.refuses(&guest(LOOP), "recordings").await;
    assert!(why.contains("(m): has not ended within 5.0s; the version that serves took "), "{why}");
}

/// A typed handler of which `m` has this body, with a clock to look at.
fn with_a_clock(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock (export "now" (func (result u64)))))
            (core func $now (canon lower (func $clock "now")))
            (core module $m (import "" "now" (func $now (result i64))) (func (export "m") (result i32) {body}))
            (core instance $i (instantiate $m (with "" (instance (export "now" (func $now))))))
            (func $m (result u32) (canon lift (core func $i "m")))
            (instance $api (export "m" (func $m)))
            (export "acme:test/api@1.0.0" (instance $api)))"#
    );
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_clock_is_told_as_it_was_recorded_and_one_that_was_not_looked_at_differs_in_the_answer_only() {
    let (still, looking) = ("(i32.const 7)", "(i32.wrap_i64 (call $now))");
    let recorded = Recorded::begin(&with_a_clock(still), "").await;
    recorded.record(&["{}"]).await;
    let why = recorded.refuses(&with_a_clock(looking), "all").await;
    assert!(why.contains("(m): result the whole: expected 7, got 1000"), "{why}");
    recorded.passes(&with_a_clock(&format!("(drop (call $now)) {still}")), "all").await;
    let recorded = Recorded::begin(&with_a_clock(looking), "").await;
    recorded.record(&["{}"]).await;
    recorded.passes(&rebuilt(with_a_clock(looking)), "all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_busy_host_there_is_room_for_a_gate_and_it_takes_none_from_requests() {
    let sandbox = crate::testing::fresh_sandbox(2, None).unwrap();
    let (directory, recordings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(directory.path().join("a.wasm"), answering("1")).unwrap();
    let config = load::Config { directory: directory.path().to_owned(), ..load_config() };
    let (policy, at) = (Policy::default(), Some(recordings.path().to_owned()));
    let of_its_own = Arc::clone(&sandbox);
    let keeper = Keeper::with_recordings(&config, &wide(), policy, of_its_own, Metrics::default(), at);
    keeper.load().await.unwrap();
    let recorded = Recorded { story: Story { directory, keeper }, recordings };
    recorded.record(&["{}"]).await;
    let endless = crate::testing::load(sandbox, &guest(LOOP), wide()).unwrap();
    let request = || {
        let endless = endless.clone();
        tokio::spawn(async move { endless.handle(crate::testing::invocation("m", "{}")).await })
    };
    let requests = [request(), request()];
    let why = recorded.refuses(&answering("2"), "all").await;
    assert!(why.contains("expected 1, got 2"), "{why}");
    recorded.passes(&rebuilt(answering("1")), "recordings").await;
    assert!(requests.iter().all(|request| !request.is_finished()));
    requests.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_new_import_or_a_wider_grant_is_refused_where_that_is_demanded() {
    let asks = Asks { broker: None, topic: "t", method: "x", arguments: "{}", server: None, timeout_ms: None };
    let recorded = Recorded::begin(&answering("1"), "grants.rpc = [\"t.x\"]").await;
    let why = recorded.refuses(&asking(asks, CALL), "imports").await;
    assert!(why.contains("imports: nova:rpc/client@0.1.0, which the version that serves does not import"), "{why}");
    let wider = "grants.rpc = [\"t/*\"]";
    let error = recorded.add(&rebuilt(answering("1")), Some(wider), gates("grants")).await.unwrap_err().to_string();
    assert!(error.contains("grants: grants.rpc: t/*, which the version that serves is not granted"), "{error}");
    recorded.add(&rebuilt(answering("1")), Some(wider), gates("imports,interface")).await.unwrap();
}

#[tokio::test]
async fn a_method_that_goes_breaks_callers_whether_it_was_called_of_late_or_not() {
    let recorded = Recorded::begin(&answering("1"), "").await;
    recorded.record(&["{}"]).await;
    let why = recorded.refuses(&answering_with("1", METHOD_N), "interface,recordings").await;
    assert!(why.contains("interface: 1.0: m is no longer served; recordings: 00000"), "{why}");
    assert!(why.contains("(m): is not served any more"), "{why}");
    // A manifest that says so takes it out of the recordings, and is still held to the interface.
    let error =
        recorded.add(&answering_with("1", METHOD_N), Some("dropped = [\"m\"]"), gates("interface")).await.unwrap_err();
    assert!(error.to_string().contains("m is no longer served"), "{error}");
    let error =
        recorded.add(&answering_with("1", METHOD_N), Some("dropped = [\"m\"]"), gates("recordings")).await.unwrap_err();
    assert!(error.to_string().contains("1 of methods that may go passed over"), "{error}");
}

#[tokio::test]
async fn what_serves_demands_of_the_next_version_and_a_manifest_cannot_lift_it() {
    let recorded = Recorded::begin(&answering("1"), "gate.recordings = 5").await;
    recorded.record(&["{}"]).await;
    // By file, and with a manifest that demands nothing.
    let error = recorded.story.offer("a", answering("2")).await.unwrap_err().to_string();
    assert!(error.contains("result the whole: expected 1, got 2"), "{error}");
    let ignoring = "[gate]\nrecordings = 5\nignore = [\"/**\"]";
    recorded.story.offer_with("a", answering("2"), ignoring).await.unwrap_err();
    // One that passes may bring another demand.
    recorded.story.offer_with("a", answering("1"), "gate.interface = true").await.unwrap();
    recorded.story.offer("a", answering("2")).await.unwrap();
    // A version is held to what it demands of itself.
    recorded.story.offer_with("a", answering("3"), "gate.recordings = 5").await.unwrap_err();
}

#[tokio::test]
async fn a_canary_passes_its_gates_before_it_begins() {
    let recorded = Recorded::begin(&answering("1"), "gate.recordings = 5").await;
    recorded.record(&["{}"]).await;
    let error = recorded.story.canary_of_a(&answering("2"), Terms::default()).await.unwrap_err();
    assert!(matches!(error, Error::Gate(_)), "{error}");
    assert!(recorded.story.keeper.list()[0].canary.is_none());
    recorded.story.canary_of_a(&answering("2"), Terms::Force).await.unwrap();
    recorded.story.keeper.abort("a").unwrap();
    recorded.story.canary_of_a(&rebuilt(answering("1")), Terms::default()).await.unwrap();
}

impl Story {
    async fn canary_of_a(&self, wasm: &[u8], terms: Terms) -> Result<Change, Error> {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("a.wasm");
        fs::write(&file, wasm).unwrap();
        self.keeper.canary(&file, None, terms, crate::canary::Policy::read(&Default::default()).unwrap()).await
    }
}
