//! What a shadow costs those who are answered: the handler that it compares, and a neighbour of it.

use std::time::Duration;

use serde_json::Value;

use super::{
    measure,
    scale::{Service, add},
};
use crate::harness::{Scratch, handlers};

/// Callers of each of the two handlers, at once.
const OUTSTANDING: [usize; 2] = [1, 8];

/// What is compared; `None` is without a shadow.
const SHARES: [Option<&str>; 3] = [None, Some("10%"), Some("100%")];

/// Rounds in which each share has its turn: a table.
pub(super) fn cost(rounds: usize, turn: Duration) -> String {
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
    let mut table = "| callers of each | requests compared | p50 ms | p99 ms | neighbour's p50 ms | p99 ms | calls/s | compared | dropped |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for outstanding in OUTSTANDING {
        let mut rows: [[Vec<f64>; 5]; 3] = Default::default();
        let mut found = [[0; 2]; 3];
        for round in 0..rounds {
            for at in (0..SHARES.len()).map(|at| if round % 2 == 0 { at } else { SHARES.len() - 1 - at }) {
                if let Some(share) = SHARES[at] {
                    service.command(&["handlers", "shadow", &rebuilt, "--share", share]);
                }
                let calls = |name| service.calls(&add(Some(name)), outstanding, turn);
                let (live, neighbour) = std::thread::scope(|scope| {
                    let neighbour = scope.spawn(|| calls("neighbour"));
                    (calls("live"), neighbour.join().expect("it is measured"))
                });
                let values = [
                    live.percentile(0.5),
                    live.percentile(0.99),
                    neighbour.percentile(0.5),
                    neighbour.percentile(0.99),
                    live.rate() + neighbour.rate(),
                ];
                rows[at].iter_mut().zip(values).for_each(|(row, value)| row.push(value));
                if SHARES[at].is_some() {
                    let shadow = shadow(&service);
                    assert_eq!(shadow["compared"]["differs"], 0, "{shadow}");
                    found[at][0] += shadow["compared"]["same"].as_u64().expect("a number");
                    found[at][1] += shadow["not_compared"]["dropped"].as_u64().expect("a number");
                    service.command(&["handlers", "abort", "live"]);
                }
            }
        }
        for ((share, row), [same, dropped]) in SHARES.iter().zip(rows).zip(found) {
            let [p50, p99, other50, other99, rate] = row.map(measure::median);
            let share = share.unwrap_or("none");
            table.push_str(&format!(
                "| {outstanding} | {share} | {p50:.2} | {p99:.2} | {other50:.2} | {other99:.2} | {rate:.0} | {same} | {dropped} |\n"
            ));
        }
    }
    table
}

/// What the shadow has found so far.
fn shadow(service: &Service) -> Value {
    let list: Value = serde_json::from_str(&service.command(&["handlers", "list", "--json"])).expect("JSON");
    let all = list["handlers"].as_array().expect("a list");
    all.iter().find(|it| it["name"] == "live").expect("it is there")["shadow"].clone()
}
