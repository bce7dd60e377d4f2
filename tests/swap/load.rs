//! Exchange under full load: numbered calls from real clients while version follows version, some of them broken.
//!
//! Every call is answered once, by one version, which was in force at some moment while the call was on its way. A version
//! that was replaced is freed. The long form of it is `make soak`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nova_host::{
    client::{Client, Invocation, Provenance, Target},
    control::{
        client::ask,
        protocol::{Changed, ControlAnswer, ControlRequest, Handlers},
    },
    envelope::{Context, Text},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Story;
use crate::harness::{
    OsloClient, PATIENCE, client, eventually,
    guest::{DESCRIBE, answering_with, guest_with},
};

/// Calls of our own client that are outstanding at once, and of oslo.messaging's.
const OUTSTANDING: usize = 16;
const OSLO_OUTSTANDING: usize = 4;

/// Exchanges, and calls while they go on: in `make test`, and in `make soak`.
const SHORT: (usize, usize) = (60, 3_000);
const LONG: (usize, usize) = (500, 60_000);

/// Growth of the host's memory that is not one of kept versions: each has some hundred KiB.
const MAX_GROWTH_KIB: u64 = 32 << 10;

/// A component of which method `m` answers with its version, twice, and its arguments in between.
fn versioned(version: usize) -> Vec<u8> {
    let (before, after) = (format!("{{\"before\": {version}, \"args\": "), format!(", \"after\": {version}}}"));
    let data = |at: usize, text: &str| format!("(data (i32.const {at}) \"{}\")", text.replace('"', "\\\""));
    let (first, last) = (before.len(), after.len());
    let middle = 16384 + first;
    let handle = format!(
        "(memory.copy (i32.const 16384) (i32.const 2000) (i32.const {first}))
         (memory.copy (i32.const {middle}) (local.get 8) (local.get 9))
         (memory.copy (i32.add (i32.const {middle}) (local.get 9)) (i32.const 2100) (i32.const {last}))
         (i32.store (i32.const 404) (i32.const 16384))
         (i32.store (i32.const 408) (i32.add (i32.const {}) (local.get 9)))
         (i32.const 400)",
        first + last
    );
    guest_with(DESCRIBE, &handle, &(data(2000, &before) + &data(2100, &after)))
}

/// What the clients find out, and what they may.
#[derive(Debug, Default)]
struct Ledger {
    /// The versions in the order in which they were about to come into force.
    begun: Mutex<Vec<usize>>,
    /// The position in `begun` of the last that is known to be in force.
    confirmed: AtomicUsize,
    /// Whether versions are being exchanged.
    exchanging: AtomicBool,
    stop: AtomicBool,
    next: AtomicU64,
    /// How long calls took, without exchanges and with them.
    took: [Mutex<Vec<Duration>>; 2],
    wrong: Mutex<Vec<String>>,
}

impl Ledger {
    /// Makes one call, and judges the answer.
    async fn call(&self, call: impl AsyncFnOnce(u64) -> Result<Value, String>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (since, exchanging) = (self.confirmed.load(Ordering::SeqCst), self.exchanging.load(Ordering::SeqCst));
        let started = Instant::now();
        let answer = call(number).await;
        let took = started.elapsed();
        if let Err(reason) = answer.and_then(|answer| self.judge(number, since, &answer)) {
            self.wrong.lock().expect("no holder panics").push(format!("call {number}: {reason}"));
        }
        self.took[usize::from(exchanging)].lock().expect("no holder panics").push(took);
    }

    fn judge(&self, number: u64, since: usize, answer: &Value) -> Result<(), String> {
        let version = answer["before"].as_u64().and_then(|version| usize::try_from(version).ok());
        if answer["args"] != json!({"n": number}) || answer["before"] != answer["after"] {
            return Err(format!("a mixed answer: {answer}"));
        }
        let begun = self.begun.lock().expect("no holder panics");
        match version.is_some_and(|version| begun[since..].contains(&version)) {
            true => Ok(()),
            false => Err(format!("version {version:?} answered, when only {:?} could", &begun[since..])),
        }
    }

    /// A version is about to come into force; gives its position.
    fn begin(&self, version: usize) -> usize {
        let mut begun = self.begun.lock().expect("no holder panics");
        begun.push(version);
        begun.len() - 1
    }

    fn confirm(&self, position: usize) {
        self.confirmed.store(position, Ordering::SeqCst);
    }

    fn answered(&self, exchanging: bool) -> usize {
        self.took[usize::from(exchanging)].lock().expect("no holder panics").len()
    }

    /// Waits for so many calls, as long as some are answered all the time.
    fn wait_for(&self, exchanging: bool, calls: usize) {
        while self.answered(exchanging) < calls {
            let before = self.answered(exchanging);
            eventually("a call", || (self.answered(exchanging) > before).then_some(()));
        }
    }

    /// The time that 99 of 100 calls took at most, and the longest.
    fn tail(&self, exchanging: bool) -> (Duration, Duration) {
        let mut took = self.took[usize::from(exchanging)].lock().expect("no holder panics").clone();
        took.sort_unstable();
        (took[took.len() * 99 / 100], took[took.len() - 1])
    }
}

/// The clients, at full speed.
struct Load {
    runtime: Runtime,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str, ledger: &Arc<Ledger>) -> Self {
        let (runtime, client) = client(url);
        let task = |_| runtime.spawn(ours(Arc::clone(&client), Arc::clone(ledger)));
        let tasks = (0..OUTSTANDING).map(task).collect();
        let oslo = Arc::new(OsloClient::start(url));
        let thread = |_| {
            let (oslo, ledger, runtime) = (Arc::clone(&oslo), Arc::clone(ledger), runtime.handle().clone());
            std::thread::spawn(move || {
                while !ledger.stop.load(Ordering::Relaxed) {
                    runtime.block_on(ledger.call(async |number| {
                        let args = json!({"n": number});
                        let call =
                            json!({"topic": "conductor", "method": "m", "args": args, "timeout": PATIENCE.as_secs()});
                        oslo.call(call).map_err(|error| format!("{error:?}"))
                    }));
                }
            })
        };
        let threads = (0..OSLO_OUTSTANDING).map(thread).collect();
        Self { runtime, tasks, threads }
    }

    /// Asks the host over its control socket.
    fn ask(&self, socket: &Path, request: &ControlRequest) -> ControlAnswer {
        self.runtime.block_on(ask(socket, request, PATIENCE)).expect("the host answers")
    }

    fn finish(self, ledger: &Ledger) {
        ledger.stop.store(true, Ordering::Relaxed);
        self.tasks.into_iter().for_each(|task| self.runtime.block_on(task).expect("no client panics"));
        self.threads.into_iter().for_each(|thread| thread.join().expect("no client panics"));
    }
}

async fn ours(client: Arc<Client>, ledger: Arc<Ledger>) {
    while !ledger.stop.load(Ordering::Relaxed) {
        let call = async |number| {
            let invocation = Invocation {
                target: Target::new("nova", "conductor"),
                method: "m".to_owned(),
                arguments: Text::of(&json!({"n": number})),
                context: Context::default(),
                origin: Provenance::default(),
            };
            let answer = client.call(invocation, PATIENCE).await.map_err(|error| error.to_string())?;
            serde_json::from_str(answer.get()).map_err(|error| error.to_string())
        };
        ledger.call(call).await;
    }
}

/// Exchanges versions, in every way there is.
struct Exchange<'a> {
    story: &'a Story,
    load: &'a Load,
    ledger: &'a Ledger,
    /// Versions that have been in force, the last one serving, as the host remembers them.
    kept: Vec<usize>,
    version: usize,
    refused: usize,
}

impl Exchange<'_> {
    fn step(&mut self, step: usize) {
        match step % 10 {
            3 | 7 => self.refuse(step),
            5 => self.roll_back(),
            9 => self.replace_the_file(),
            _ => self.add(),
        }
    }

    fn add(&mut self) {
        let file = self.story.scratch.write("handlers/.new/a.wasm", versioned(self.version + 1));
        let position = self.begin();
        let answer = self
            .load
            .ask(&self.socket(), &ControlRequest::Add { file, name: None, force: false, gate: Default::default() });
        assert!(matches!(answer, ControlAnswer::Changed(Changed::Replaced { .. })), "{answer:?}");
        self.ledger.confirm(position);
    }

    fn replace_the_file(&mut self) {
        let new = self.story.scratch.write("handlers/.new/a.wasm", versioned(self.version + 1));
        let position = self.begin();
        let before = self.serving();
        std::fs::rename(new, self.story.file("a.wasm")).expect("it is writable");
        eventually("the file to be noticed", || (self.serving() != before).then_some(()));
        self.ledger.confirm(position);
    }

    fn roll_back(&mut self) {
        self.kept.pop();
        let position = self.ledger.begin(*self.kept.last().expect("a version before"));
        let answer = self.load.ask(&self.socket(), &ControlRequest::Rollback { name: "a".to_owned() });
        assert!(matches!(answer, ControlAnswer::Changed(Changed::RolledBack { directory: None, .. })), "{answer:?}");
        self.ledger.confirm(position);
    }

    /// Broken in one way or another.
    fn refuse(&mut self, step: usize) {
        let good = versioned(9_999_999);
        let (component, expected) = match step / 10 % 4 {
            0 => (good[..good.len() - 1].to_vec(), "does not compile"),
            1 => (b"#!/bin/sh\n".to_vec(), "not WebAssembly"),
            2 => (answering_with("1", r#"(data (i32.const 1010) "n")"#), "drops m 1.0"),
            _ => (answering_with("1", "(func $die unreachable) (start $die)"), "describe failed"),
        };
        let file = self.story.scratch.write("handlers/.new/a.wasm", component);
        match self
            .load
            .ask(&self.socket(), &ControlRequest::Add { file, name: None, force: false, gate: Default::default() })
        {
            ControlAnswer::Failed { message, .. } => assert!(message.contains(expected), "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
        self.refused += 1;
    }

    fn begin(&mut self) -> usize {
        self.version += 1;
        self.kept.push(self.version);
        self.ledger.begin(self.version)
    }

    fn serving(&self) -> u64 {
        let ControlAnswer::Handlers(Handlers { handlers, .. }) =
            self.load.ask(&self.socket(), &ControlRequest::List {})
        else {
            panic!("no list")
        };
        handlers[0].serving.as_ref().expect("a generation").generation
    }

    fn socket(&self) -> std::path::PathBuf {
        self.story.scratch.path().join("control.sock")
    }
}

/// The numbers after the last of a word in the lines of a log that hold a text. The last, since a line may begin with
/// the fields of the request in which it was written.
fn numbers(log: &str, text: &str, word: &str) -> Vec<u64> {
    let lines = log.lines().filter(|line| line.contains(text));
    lines.filter_map(|line| line.rsplit(word).next()?.split_whitespace().next()?.parse().ok()).collect()
}

/// Memory of a process that is in use, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    numbers(&status, "VmRSS:", "VmRSS:").first().copied().expect("the kernel says")
}

#[test]
fn every_call_is_answered_once_by_one_version_while_versions_are_exchanged() {
    let soak = std::env::var_os("NOVA_HOST_SOAK").is_some();
    let (exchanges, calls) = if soak { LONG } else { SHORT };
    let story = Story::begin(&[("a.wasm", &versioned(0))]);
    let ledger = Arc::new(Ledger::default());
    ledger.begin(0);
    let load = Load::start(&story.vhost.url(), &ledger);
    ledger.wait_for(false, calls / 3);

    ledger.exchanging.store(true, Ordering::SeqCst);
    let mut exchange = Exchange { story: &story, load: &load, ledger: &ledger, kept: vec![0], version: 0, refused: 0 };
    let (mut steps, mut settled) = (0, 0);
    while steps < exchanges || ledger.answered(true) < calls {
        exchange.step(steps);
        steps += 1;
        if steps == exchanges / 4 {
            settled = resident(story.host.pid());
        }
    }
    let refused = exchange.refused;
    load.finish(&ledger);
    let grown = resident(story.host.pid()).saturating_sub(settled);

    let wrong = ledger.wrong.lock().expect("no holder panics");
    assert!(wrong.is_empty(), "{} calls went wrong, such as\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    let ((calm, calm_longest), (busy, busy_longest)) = (ledger.tail(false), ledger.tail(true));
    let total = ledger.next.load(Ordering::Relaxed);
    eprintln!(
        "{total} calls, {} of them during {steps} exchanges of which {refused} were refused; without exchanges 99% within \
         {calm:?}, the longest {calm_longest:?}; with them {busy:?} and {busy_longest:?}; memory grew by {grown} KiB",
        ledger.answered(true),
    );

    // Every call ran once, on one of the generations.
    let listed = story.listed("a");
    let kept: Vec<&Value> =
        [&listed["serving"]].into_iter().chain(listed["previous"].as_array().expect("a list")).collect();
    let log = story.host.log();
    let freed = numbers(&log, "generation freed", "generation=");
    let accepted: u64 = numbers(&log, "generation freed", "accepted=").iter().sum();
    let accepted = accepted + kept.iter().map(|generation| generation["accepted"].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!(accepted, total);
    // And all of those are freed but the one that serves and the two that are kept for a rollback.
    let all = freed.iter().copied().chain(kept.iter().filter_map(|one| one["generation"].as_u64())).max();
    assert_eq!((freed.len() + kept.len()) as u64, all.expect("at least one"));
    assert!(kept.len() <= 3 && listed["ending"] == json!([]), "{listed}");
    assert!(grown < MAX_GROWTH_KIB, "the host's memory grew by {grown} KiB");
    // No cliff: what an exchange costs is of the order of what a call costs anyway.
    assert!(busy < 10 * calm + Duration::from_millis(500), "{busy:?} with exchanges, {calm:?} without");
    story.vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
}

#[test]
fn the_ledger_sees_what_it_is_there_to_see() {
    let ledger = Ledger::default();
    ledger.begin(0);
    let first = json!({"before": 0, "args": {"n": 7}, "after": 0});
    assert_eq!(ledger.judge(7, 0, &first), Ok(()));
    assert!(ledger.judge(8, 0, &first).is_err());
    assert!(ledger.judge(7, 0, &json!({"before": 0, "args": {"n": 7}, "after": 1})).is_err());
    assert!(ledger.judge(7, 0, &json!({"before": 1, "args": {"n": 7}, "after": 1})).is_err());
    let position = ledger.begin(1);
    ledger.confirm(position);
    assert!(ledger.judge(7, position, &first).is_err());
}
