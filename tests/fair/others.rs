//! How long a neighbour waits beside a flood: a measurement, and no story, for the time is the machine's.
//!
//! `NOVA_HOST_FAIR_WAITING=0` in the environment is the order of the queue, to compare with.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nova_host::{
    client::{CallOptions, Client, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::{Value, json};

use crate::harness::{Broker, Scratch, Serve, client, handlers};

/// Callers at once of the handler that is flooded.
const FLOOD: usize = 200;

/// Callers at once of its neighbour.
const OTHERS: usize = 4;

fn request(namespace: Option<&str>, method: &str, arguments: &Value) -> Invocation {
    let mut target = Target::new("nova", "conductor");
    target.namespace = namespace.map(str::to_owned);
    Invocation {
        target,
        method: method.to_owned(),
        arguments: Text::of(arguments),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

/// What calls took for some seconds, the shortest first; how they end is not looked at.
async fn calls(client: Arc<Client>, request: Invocation, at_once: usize, time: Duration) -> Vec<Duration> {
    let caller = || {
        let (client, request) = (Arc::clone(&client), request.clone());
        tokio::spawn(async move {
            let (begun, mut took) = (Instant::now(), Vec::new());
            while begun.elapsed() < time {
                let started = Instant::now();
                client.call(request.clone(), CallOptions::default()).await.expect("the neighbour answers");
                took.push(started.elapsed());
            }
            took
        })
    };
    let callers: Vec<_> = (0..at_once).map(|_| caller()).collect();
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.expect("no caller panics"));
    }
    all.sort_unstable();
    all
}

fn percentile(took: &[Duration], of: usize) -> Duration {
    took[(took.len() - 1) * of / 100]
}

#[test]
#[ignore = "measures; cargo test --release --test e2e -- --ignored --nocapture fair::"]
fn how_long_a_neighbour_waits_beside_a_flood_is_measured() {
    let (vhost, directory) = (Broker::shared().vhost(), Scratch::new());
    for name in ["calculator.wasm", "conductor.wasm", "conductor.toml"] {
        fs::copy(handlers().join(name), directory.path().join(name)).expect("it is built");
    }
    directory.write("calculator.toml", "[limits]\ntimeout = \"1s\"\n");
    let host = Serve::with_config(&format!(
        "transport_url = \"{}\"\nhandlers.directory = \"{}\"\nlog = \"info,handler=off,nova_host::serve=off\"\nmetrics.listen = \"127.0.0.1:0\"\nfair.waiting = 1024\n",
        vhost.url(),
        directory.path().display()
    ));
    let (runtime, others) = client(&vhost.url());
    let measure = |time: u64| {
        let ping = request(Some("baseapi"), "ping", &json!({"arg": "x"}));
        runtime.block_on(calls(Arc::clone(&others), ping, OTHERS, Duration::from_secs(time)))
    };
    measure(1);
    let floods = [
        ("slow: loops until its timeout of 1 s", request(None, "loop_forever", &json!({}))),
        ("short: adds", request(None, "add", &json!({"a": 1, "b": 2}))),
        ("middling: 64 KiB there and back", request(None, "echo", &json!({"value": "x".repeat(64 << 10)}))),
    ];
    for (what, flooding) in floods {
        let before = measure(5);
        let (flood_runtime, flooding_client) = client(&vhost.url());
        let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..FLOOD)
            .map(|_| {
                let (client, flooding) = (Arc::clone(&flooding_client), flooding.clone());
                let (stop, ended) = (Arc::clone(&stop), Arc::clone(&ended));
                flood_runtime.spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        client.call(flooding.clone(), CallOptions::default()).await.ok();
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        measure(2);
        let begun = ended.load(Ordering::Relaxed);
        let meanwhile = measure(8);
        let rate = (ended.load(Ordering::Relaxed) - begun) / 8;
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            flood_runtime.block_on(caller).expect("no caller panics");
        }
        let [p50, p99] = [50, 99].map(|of| percentile(&meanwhile, of));
        let [p50_before, p99_before] = [50, 99].map(|of| percentile(&before, of));
        let times = p99.as_secs_f64() / p99_before.as_secs_f64();
        eprintln!(
            "{what} ({FLOOD} callers, {rate}/s): the neighbour's p99 {p99_before:.2?} before, {p99:.2?} meanwhile ({times:.1} \
             times); its median {p50_before:.2?} and {p50:.2?}; {} and {} calls",
            before.len(),
            meanwhile.len()
        );
    }
    drop(host);
}
