//! What recording costs a service, and how fast recordings are run again.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{
    measure::{self, Usage},
    scale::{Service, add},
};
use crate::harness::{Scratch, handlers, languages, nova_host};

/// Shares of requests that are recorded; the first is the measure of the others.
const SHARES: [&str; 4] = ["0%", "1%", "10%", "100%"];

/// Callers at once.
const OUTSTANDING: usize = 16;

/// Services that record one share each, and one that tapes everything to keep what fails; they take turns.
pub(super) fn cost(rounds: usize, turn: Duration) -> String {
    let scratch = Scratch::new();
    let service = |name: &str, what: &str| {
        let directory = scratch.path().join(name).display().to_string();
        Service::start(None, &format!("[record]\ndirectory = \"{directory}\"\nper_second = 100000\n{what}\n"))
    };
    let mut services = vec![("nothing".to_owned(), Service::start(None, ""))];
    for share in &SHARES[1..] {
        services.push((share.replace('%', " %"), service(share, &format!("share = \"{share}\""))));
    }
    services.push(("failures, of which there are none".to_owned(), service("failures", "outcomes = \"failures\"")));
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); services.len()];
    let mut ratios = rates.clone();
    let mut used = rates.clone();
    for round in 0..rounds {
        let mut first = 0.0;
        // Each is first, and last, as often as the others.
        for at in (0..services.len()).map(|at| if round % 2 == 0 { at } else { services.len() - 1 - at }) {
            let service = &services[at].1;
            let before = Usage::of(service.pid());
            let done = service.calls(&add(None), OUTSTANDING, turn);
            used[at].push((Usage::of(service.pid()).cpu - before.cpu).as_secs_f64() * 1e3 / done.calls as f64);
            rates[at].push(done.rate());
            if at == 0 {
                first = done.rate();
            }
        }
        let first = if first > 0.0 { first } else { f64::NAN };
        for (rate, ratios) in rates.iter().zip(&mut ratios) {
            ratios.push(rate[round] / first);
        }
    }
    let mut text = String::from("| recorded | calls/s | of none | CPU s per 1000 calls |\n| --- | --- | --- | --- |\n");
    let all = services.iter().zip(rates.into_iter().zip(ratios).zip(used));
    for ((name, _), ((rates, ratios), used)) in all {
        let (rate, ratio, cpu) = (measure::median(rates), measure::median(ratios), measure::median(used));
        writeln!(text, "| {name} | {rate:.0} | {ratio:.3} | {cpu:.3} |").expect("text grows");
    }
    text
}

/// Recordings that are run again in a second, one after the other, by one `nova-host replay`.
pub(super) fn rate(count: usize) -> String {
    let mut text = String::from("| handler | recordings | in a minute |\n| --- | --- | --- |\n");
    for (name, component) in [
        ("Rust", handlers().join("calculator.wasm")),
        ("Go", languages().join("go.wasm")),
        ("Python", languages().join("python.wasm")),
    ] {
        let scratch = Scratch::new();
        scratch.write("handlers/h.wasm", std::fs::read(component).expect("it is built"));
        scratch.write(
            "handlers/h.toml",
            "grants.rpc = [\"a/*\"]\ngrants.keyvalue = true\ngrants.http = [\"http://127.0.0.1:1\"]",
        );
        let path = scratch.path().display().to_string();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(nova_host());
            command.args(arguments).args(["--transport-url", "memory://", "--handlers", &format!("{path}/handlers")]);
            command.args(["--set", &format!("record.directory={path}/recordings"), "--set", "record.share=100%"]);
            let output = command.env_remove("NOVA_HOST_BENCH").output().expect("nova-host runs");
            assert!(output.status.success(), "{output:?}");
        };
        run(&["call", "add", "{\"a\": 1, \"b\": 2}", "--version", "1.3"]);
        let recorded = std::fs::read_dir(scratch.path().join("recordings")).expect("there is one");
        let recorded = recorded.map(|entry| entry.expect("it is there").path()).next().expect("there is one");
        let recorded = recorded.display().to_string();
        let many: Vec<&str> = std::iter::once("replay").chain(std::iter::repeat_n(recorded.as_str(), count)).collect();
        let started = Instant::now();
        run(&many);
        let minute = count as f64 / started.elapsed().as_secs_f64() * 60.0;
        writeln!(text, "| {name} | {count} | {minute:.0} |").expect("text grows");
    }
    text
}
