//! What a typed call costs beside a dynamic one: figures for people, not a condition.

use std::time::{Duration, Instant};

use crate::{
    envelope::Answer,
    sandbox::{Invocation, Program},
    testing::{load, sandbox, tight, typed::invocation},
};

/// Calls of one round.
const CALLS: u32 = 3000;

const TEN: &str = r#"{"a": 1, "b": 2, "c": 3, "d": 4, "e": 0.5, "f": 5, "g": -6, "h": 7, "i": true, "j": 8}"#;

fn handler(name: &str) -> Program {
    let path = format!("{}/../target/handlers/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    load(sandbox(), &std::fs::read(path).unwrap(), tight()).unwrap()
}

/// The time of one call, the best of some rounds.
async fn cost(program: &Program, method: &str, arguments: &str) -> Duration {
    let request = || Invocation { method: method.into(), ..invocation(method, arguments) };
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let started = Instant::now();
        for _ in 0..CALLS {
            assert!(matches!(program.handle(request()).await, Ok(Answer::Result(_))));
        }
        best = best.min(started.elapsed() / CALLS);
    }
    best
}

/// `cargo test --release -p nova-host --lib cost -- --ignored --nocapture`, after `make build`.
#[tokio::test]
#[ignore = "prints figures"]
async fn a_typed_call_beside_a_dynamic_one() {
    let (typed, dynamic) = (handler("inventory"), handler("calculator"));
    let value = format!(r#"{{"value": {TEN}}}"#);
    for (method, arguments) in [("total", TEN), ("add", r#"{"a": 1, "b": 2}"#), ("echo", value.as_str())] {
        let (typed, dynamic) = (cost(&typed, method, arguments).await, cost(&dynamic, method, arguments).await);
        println!("{method}: typed {typed:?}, dynamic {dynamic:?}");
    }
}
