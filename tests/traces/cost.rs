//! What traces cost: processor time of hosts that differ in nothing else, for the same calls, in turns.

use std::time::Duration;

use nova_host::client::{Invocation, Provenance, Target};
use nova_host::envelope::{Context, Text};
use serde_json::json;

use crate::harness::{Broker, Collector, load::client};
use crate::oslo::serve;
use crate::performance::measure::{calls, median};

/// Turns of each host.
const ROUNDS: usize = 120;

/// How long each takes: short, so that what else the machine does meets all of them.
const TURN: Duration = Duration::from_millis(250);

/// Calls at once.
const OUTSTANDING: usize = 16;

#[test]
#[ignore = "measures; cargo test --release -p nova-host --test e2e -- --ignored --nocapture traces::cost"]
fn what_traces_cost_is_measured() {
    let (vhost, collector) = (Broker::shared().vhost(), Collector::start());
    let on = |sample: &str| format!("\n[tracing]\nendpoint = \"{}\"\nsample = {sample}", collector.endpoint());
    let kinds = [("off", String::new()), ("off again", String::new()), ("1 %", on("0.01")), ("all", on("1"))];
    let hosts: Vec<_> = kinds
        .iter()
        .zip(0..)
        .map(|((_, tracing), number)| {
            serve(&vhost, &format!("host-{number}"), &format!("control.socket = \"none\"{tracing}"))
        })
        .collect();
    let (runtime, client) = client(&vhost.url());
    // Microseconds of processor time for a call.
    let turn = |number: usize| {
        let mut target = Target::new("nova", "conductor");
        target.server = Some(format!("host-{number}"));
        let (arguments, context) = (Text::of(&json!({"a": 1, "b": 2})), Context::default());
        let add = Invocation { target, method: "add".into(), arguments, context, origin: Provenance::default() };
        let before = processor(hosts[number].pid());
        let round = calls(&runtime, &client, &add, OUTSTANDING, TURN);
        (processor(hosts[number].pid()) - before) / 1e3 / round.calls as f64
    };
    for number in 0..kinds.len() {
        turn(number);
    }
    // Each round begins with another one.
    let rounds: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|round| {
            let mut took = vec![0.0; kinds.len()];
            (0..kinds.len()).map(|at| (at + round) % kinds.len()).for_each(|number| took[number] = turn(number));
            took
        })
        .collect();
    for (number, (kind, _)) in kinds.iter().enumerate() {
        let cost = median(rounds.iter().map(|took| took[number]));
        let more = median(rounds.iter().map(|took| (took[number] / took[0] - 1.0) * 100.0));
        println!("{kind:>9}: {cost:.1} µs of the host's processor time for a call, {more:+.1} % (median of pairs)");
    }
    println!("{} spans came", collector.spans().len());
}

/// Nanoseconds that the threads of a process have had a processor, to more digits than `/proc/PID/stat` has.
fn processor(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    threads.filter_map(of).sum()
}
