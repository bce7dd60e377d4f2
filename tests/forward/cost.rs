//! What a forwarded call costs, against one that goes to the Python service directly.

use std::time::{Duration, Instant};

use nova_host::client::{Client, Target};

use super::{Front, LEGACY, python};
use crate::harness::{
    Broker,
    load::{client, record},
};

/// Calls of each kind, in turns.
const CALLS: usize = 400;

#[test]
#[ignore = "measures; cargo test --release -p nova-host --test e2e -- --ignored --nocapture forward::cost"]
fn what_forwarding_adds_is_measured() {
    let vhost = Broker::shared().vhost();
    let _python = python(&vhost, "python-1");
    let _host =
        Front::start(&vhost, "front", &format!("[forward]\nexchange = \"{LEGACY}\"\nmethods.\"*\" = \"forward\""));
    let (runtime, client) = client(&vhost.url());
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..CALLS {
        for (took, exchange) in took.iter_mut().zip([LEGACY, "nova"]) {
            took.push(runtime.block_on(one(&client, exchange)));
        }
    }
    let [direct, forwarded] = took.map(|mut took| {
        // The first ones make connections and queues.
        took.drain(..CALLS / 10);
        took.sort_unstable();
        [50, 99].map(|percent| took[took.len() * percent / 100])
    });
    println!("directly to Python: p50 {:?}, p99 {:?}", direct[0], direct[1]);
    println!("through Nova Host:  p50 {:?}, p99 {:?}", forwarded[0], forwarded[1]);
    println!("added at p50: {:?}", forwarded[0].saturating_sub(direct[0]));
}

async fn one(client: &Client, exchange: &str) -> Duration {
    let begun = Instant::now();
    let answer = client.call(record(Target::new(exchange, "conductor"), 1), Duration::from_secs(30)).await;
    assert!(answer.is_ok(), "{answer:?}");
    begun.elapsed()
}
