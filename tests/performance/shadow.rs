//! What a shadow costs those who are answered: the handler that it compares, and a neighbour of it.

use std::time::Duration;

use super::{
    measure,
    scale::{Service, add},
};
use crate::harness::{Scratch, handlers};

/// Rounds in which each share has its turn.
const ROUNDS: usize = 7;

/// How long a turn lasts.
const TURN: Duration = Duration::from_secs(2);

/// Callers of each of the two handlers, at once.
const OUTSTANDING: [usize; 2] = [1, 8];

#[test]
#[ignore = "measures; cargo test --release -p nova-host --test e2e -- --ignored --nocapture performance::shadow"]
fn what_a_shadow_costs_those_who_are_answered_is_measured() {
    let component = std::fs::read(handlers().join("calculator-typed.wasm")).expect("it is built");
    let fill = |scratch: &Scratch| {
        for name in ["live", "neighbour"] {
            scratch.write(&format!("handlers/{name}.wasm"), &component);
            scratch.write(&format!("handlers/{name}.toml"), format!("[[endpoint]]\nnamespace = \"{name}\"\n"));
        }
    };
    let service = Service::start(Some(&fill), "");
    let scratch = Scratch::new();
    // The same code, built again.
    let rebuilt = scratch.write("live.wasm", [&component[..], b"\x00\x06\x05built"].concat()).display().to_string();
    println!(
        "| callers of each | compared | live, p50 ms | p99 ms | neighbour, p50 ms | p99 ms | calls/s | compared | dropped |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for outstanding in OUTSTANDING {
        let shares = [None, Some("10%"), Some("100%")];
        let mut rows: [[Vec<f64>; 5]; 3] = Default::default();
        let mut found = [[0; 2]; 3];
        for round in 0..ROUNDS {
            for at in (0..shares.len()).map(|at| if round % 2 == 0 { at } else { shares.len() - 1 - at }) {
                if let Some(share) = shares[at] {
                    service.command(&["handlers", "shadow", &rebuilt, "--share", share]);
                }
                let calls = |name| service.calls(&add(Some(name)), outstanding, TURN);
                let (live, neighbour) = std::thread::scope(|scope| {
                    let neighbour = scope.spawn(|| calls("neighbour"));
                    (calls("live"), neighbour.join().expect("it is measured"))
                });
                let rate = live.rate() + neighbour.rate();
                let values = [
                    live.percentile(0.5),
                    live.percentile(0.99),
                    neighbour.percentile(0.5),
                    neighbour.percentile(0.99),
                    rate,
                ];
                rows[at].iter_mut().zip(values).for_each(|(row, value)| row.push(value));
                if shares[at].is_some() {
                    let list = service.command(&["handlers", "list", "--json"]);
                    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
                    let shadow = &list["handlers"]
                        .as_array()
                        .expect("a list")
                        .iter()
                        .find(|it| it["name"] == "live")
                        .expect("it is there")["shadow"];
                    assert_eq!(shadow["compared"]["differs"], 0, "{shadow}");
                    found[at][0] += shadow["compared"]["same"].as_u64().expect("a number");
                    found[at][1] += shadow["not_compared"]["dropped"].as_u64().expect("a number");
                    service.command(&["handlers", "abort", "live"]);
                }
            }
        }
        for ((share, row), [same, dropped]) in shares.iter().zip(rows).zip(found) {
            let [p50, p99, other50, other99, rate] = row.map(measure::median);
            let share = share.unwrap_or("nothing");
            println!(
                "| {outstanding} | {share} | {p50:.2} | {p99:.2} | {other50:.2} | {other99:.2} | {rate:.0} | {same} | {dropped} |"
            );
        }
    }
}
