//! A well-behaved handler beside one that attacks: the same service, the same queue, one run.
//!
//! `calculator` is the attacker, with limits of its own in its manifest; `conductor` is the neighbour. Each attack is
//! measured against the neighbour alone, and a table is printed. In `make test` it is short, and what counts is that
//! every call of the neighbour is answered as it should, the attacks end as they should, and memory comes back.
//! `NOVA_HOST_SOAK=1` makes it long, and holds the neighbour's times to a bound.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, Scratch, Serve, Vhost, eventually, handlers};

/// The attacker's time is short, so that an attack is over soon; its places are few, so that it cannot hold all permits.
const MANIFEST: &str = "[limits]\ntimeout = \"2s\"\nmemory = \"32 MiB\"\nconcurrency = 8\n";

/// The neighbour's slowest call of a hundred may take this many times as long beside an attack as alone…
const FACTOR: u32 = 10;

/// …or this long, where it was very fast alone.
const FAST: Duration = Duration::from_millis(50);

/// Memory that may remain: what the allocator and the pool keep for next time.
const KEPT_MIB: u64 = 128;

struct Attack {
    name: &'static str,
    method: &'static str,
    args: Value,
    /// How the calls end; `None` with a result. Those beyond the attacker's places may be refused instead.
    class: Option<&'static str>,
}

fn attacks() -> Vec<Attack> {
    let attack = |name, method, args, class| Attack { name, method, args, class };
    vec![
        attack("infinite loops", "loop_forever", json!({}), Some("HandlerTimedOut")),
        attack("memory", "allocate", json!({"mib": 1000}), Some("HandlerOutOfMemory")),
        attack("recursion", "recurse", json!({}), Some("HandlerOutOfStack")),
        attack("panics", "panic", json!({"message": "x".repeat(10_000)}), Some("HandlerTrapped")),
        attack("large results", "echo", json!({"value": "x".repeat(1 << 20)}), None),
        attack("log lines", "log", json!({"level": "info", "message": "x".repeat(100_000)}), None),
    ]
}

struct Story {
    host: Serve,
    neighbour: OsloClient,
    attacker: OsloClient,
    _handlers: Scratch,
    /// Last, so that it goes when nobody uses it any more.
    _vhost: Vhost,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let directory = Scratch::new();
        for name in ["calculator.wasm", "conductor.wasm", "conductor.toml"] {
            fs::copy(handlers().join(name), directory.path().join(name)).expect("it is built");
        }
        directory.write("calculator.toml", MANIFEST);
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{}\"\nlog = \"info,handler=off,nova_host::serve=off\"\n\
             metrics.listen = \"127.0.0.1:0\"\n",
            vhost.url(),
            directory.path().display()
        ));
        let (neighbour, attacker) = (OsloClient::start(&vhost.url()), OsloClient::start(&vhost.url()));
        Self { host, neighbour, attacker, _handlers: directory, _vhost: vhost }
    }

    /// Calls the neighbour so many times, one after the other; its slowest of a hundred, and its middle.
    fn measure(&self, calls: usize) -> (Duration, Duration) {
        let ping = json!({
            "topic": "conductor", "namespace": "baseapi", "version": "1.0", "method": "ping", "args": {"arg": "x"},
        });
        let mut took: Vec<Duration> = (0..calls)
            .map(|_| {
                let answer = self.neighbour.start_call(ping.clone()).wait();
                assert_eq!(answer.outcome.expect("the neighbour answers"), json!({"service": "conductor", "arg": "x"}));
                answer.took
            })
            .collect();
        took.sort_unstable();
        (took[(took.len() - 1) * 99 / 100], took[took.len() / 2])
    }

    /// Attacks with so many calls at once while the neighbour is measured.
    fn beside(&self, attack: &Attack, at_once: usize, calls: usize) -> (Duration, Duration) {
        let call = json!({"topic": "conductor", "method": attack.method, "args": attack.args, "timeout": 60});
        let attacking: Vec<_> = (0..at_once).map(|_| self.attacker.start_call(call.clone())).collect();
        let measured = self.measure(calls);
        for call in attacking {
            let class =
                call.wait().outcome.err().map(|error| error.remote.map_or(error.class, |remote| remote.exc_type));
            let expected = class.as_deref() == attack.class || class.as_deref() == Some("HandlerBusy");
            assert!(expected, "{}: {class:?}", attack.name);
        }
        measured
    }

    /// Resident memory in MiB.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.host.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says it");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") >> 10
    }
}

#[test]
fn a_neighbour_is_served_beside_every_attack_and_memory_comes_back() {
    let soak = std::env::var_os("NOVA_HOST_SOAK").is_some_and(|value| value == "1");
    let (at_once, calls, alone) = if soak { (1000, 300, 1000) } else { (40, 20, 50) };
    let story = Story::begin();

    let (p99_alone, middle) = story.measure(alone);
    // Every attack once, so that what is kept for next time is kept.
    for attack in attacks() {
        story.beside(&attack, 40, 1);
    }
    let before = story.resident();

    println_table(&format!("{:<16} {:>12} {:>12}", "neighbour", "p99", "median"));
    println_table(&format!("{:<16} {p99_alone:>12.1?} {middle:>12.1?}", "alone"));
    let mut slow = Vec::new();
    for attack in attacks() {
        let (p99, middle) = story.beside(&attack, at_once, calls);
        println_table(&format!("{:<16} {p99:>12.1?} {middle:>12.1?}", attack.name));
        if p99 > (p99_alone * FACTOR).max(FAST) {
            slow.push(attack.name);
        }
    }
    assert!(!soak || slow.is_empty(), "beside {} the neighbour was too slow", slow.join(", "));

    eventually("memory to come back", || (story.resident() <= before + KEPT_MIB).then_some(()));
    println_table(&format!("resident: {before} MiB before, {} MiB after", story.resident()));
    let (p99, _) = story.measure(calls);
    println_table(&format!("{:<16} {p99:>12.1?}", "alone again"));
}

/// Into the test's output, which `--nocapture` shows.
fn println_table(line: &str) {
    eprintln!("{line}");
}
