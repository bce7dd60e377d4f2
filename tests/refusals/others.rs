//! How long others wait while something is ill: a measurement, and no story, for the time is the machine's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nova_host::{
    client::{Invocation, Options, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::json;

use super::{call, declare_full, host, json_type};
use crate::harness::{Broker, client};

/// The 99th percentile of calls by sixteen callers for some seconds.
fn percentile(url: &str) -> Duration {
    const CALLERS: u64 = 16;
    const FOR: Duration = Duration::from_secs(6);
    let (runtime, client) = client(url);
    let caller = |n: u64| {
        let client = Arc::clone(&client);
        runtime.spawn(async move {
            let (begun, mut took) = (Instant::now(), Vec::new());
            while begun.elapsed() < FOR {
                let started = Instant::now();
                let sum = client.call(add(n), Options::default()).await.expect("it is answered");
                assert_eq!(sum.get(), (n + 1).to_string());
                took.push(started.elapsed());
            }
            took
        })
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let took = callers.into_iter().flat_map(|caller| runtime.block_on(caller).expect("no caller panics"));
    let mut took: Vec<Duration> = took.collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn add(n: u64) -> Invocation {
    Invocation {
        target: Target::new("nova", "conductor"),
        method: "add".to_owned(),
        arguments: Text::of(&json!({"a": n, "b": 1})),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

#[test]
#[ignore = "measures; cargo test --release --test e2e -- --ignored --nocapture refusals::"]
fn how_long_others_wait_while_something_is_ill_is_measured() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    declare_full(&vhost, "letters");
    vhost.bind("dead", "letters", "");
    declare_full(&vhost, "full");
    let host = host(&vhost.url(), "delivery.dead_letter_exchange = \"dead\"");
    let before = percentile(&vhost.url());
    let stop = Arc::new(AtomicBool::new(false));
    let ill = {
        let (stop, vhost_url) = (Arc::clone(&stop), vhost.url());
        // Some hundred a second of each: calls that nobody can be told of, and casts that die.
        let (runtime, client) = client(&vhost_url);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let mut nobody = add(1);
                nobody.method = "nope".to_owned();
                runtime.block_on(client.cast(nobody, Options::default())).expect("the broker has it");
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    for _ in 0..300 {
        vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": 1, "b": 1}), "full"));
        vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": 1, "b": 1}), "gone"));
    }
    let meanwhile = percentile(&vhost.url());
    stop.store(true, Ordering::Relaxed);
    ill.join().expect("it does not panic");
    let after = percentile(&vhost.url());
    eprintln!(
        "p99 of others: {before:?} before, {meanwhile:?} while a reply queue is full, one gone, and the dead-letter queue full; {after:?} after"
    );
    eprintln!(
        "{}",
        host.metrics()
            .lines()
            .filter(|line| line.contains("replies_total") || line.contains("dead_letters"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}
