//! More than a watcher can take: its queue is bounded, what had no room is counted, and the service has everything.

use std::fs;
use std::time::Duration;

use nova_host::{
    client::{CallOptions, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::json;

use super::{Watching, deserted};
use crate::harness::{Vhost, client, eventually};

/// What the watcher's queue takes, and what the broker sends it unasked: as `topology/tap.rs` and `tapping.rs` have it.
const ROOM: u64 = 10_000 + 64;

/// Memory beyond what it has before: for 64 messages of a quarter of a mebibyte that have arrived, 64 that are handed over, and what
/// is made of one.
const MEMORY_MIB: u64 = 100;

fn cast(vhost: &Vhost, count: u64, bytes: usize) {
    let (runtime, client) = client(&vhost.url());
    let invocation = || Invocation {
        target: Target::new("nova", "conductor"),
        method: "fill".to_owned(),
        arguments: Text::of(&json!({"value": "x".repeat(bytes)})),
        context: Context::default(),
        origin: Provenance::default(),
    };
    runtime.block_on(async {
        let mut casts = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (client, invocation) = (client.clone(), invocation());
            if casts.len() == 64 {
                casts.join_next().await.expect("there is one").expect("no panic");
            }
            casts.spawn(async move {
                client.cast(invocation, CallOptions::from(Duration::from_secs(60))).await.expect("the broker takes it");
            });
        }
        while let Some(done) = casts.join_next().await {
            done.expect("no panic");
        }
    });
}

/// The most memory that it has had, in MiB.
fn peak(watching: &Watching) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", watching.child.id())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") >> 10
}

#[test]
fn what_a_burst_leaves_no_room_for_is_counted_and_the_service_has_all_of_it() {
    const SENT: u64 = 12_000;
    let vhost = deserted();
    // It is stopped for as long as this machine takes to send them all.
    let watching = Watching::json(&vhost, &["--set", "rabbit.heartbeat_timeout_threshold=600"]);
    watching.signal("STOP");
    cast(&vhost, SENT, 1);
    vhost.eventually("conductor", |queue| queue.ready == SENT);
    let waiting = |suffix: &str| -> u64 {
        let queues = vhost.queues().into_iter().filter(|(name, _)| name.starts_with("nova_host_watch"));
        queues
            .filter(|(name, _)| name.ends_with("_dropped") == (suffix == "_dropped"))
            .map(|(_, queue)| queue.ready)
            .sum()
    };
    eventually("the queue to be full", || (waiting("") == ROOM - 64).then_some(()));
    eventually("the rest to be counted", || (waiting("_dropped") >= SENT - ROOM).then_some(()));
    watching.signal("CONT");
    eventually("its queue to be empty", || (waiting("") == 0).then_some(()));
    let report = watching.report();
    let (seen, dropped) = (report["requests"].as_u64().expect("a number"), report["unseen"]["dropped"].as_u64());
    assert_eq!((seen + dropped.expect("a number"), seen), (SENT, ROOM), "{report}");
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    const SENT: u64 = 250;
    let vhost = deserted();
    let watching = Watching::json(&vhost, &[]);
    let before = peak(&watching);
    // Not for long: the broker hangs up on who has read nothing for fifteen seconds.
    watching.signal("STOP");
    cast(&vhost, SENT, 1 << 18);
    vhost.eventually("conductor", |queue| queue.ready == SENT);
    watching.signal("CONT");
    eventually("its queue to be empty", || {
        let mut queues = vhost.queues().into_iter().filter(|(name, _)| name.starts_with("nova_host_watch"));
        queues.all(|(_, queue)| queue.ready == 0).then_some(())
    });
    let taken = peak(&watching) - before;
    eprintln!("memory: {before} MiB before, {taken} MiB more for {SENT} messages");
    let report = watching.report();
    assert_eq!(report["unseen"]["connections_lost"], 0, "it was stopped for too long: {report}");
    assert!(taken < MEMORY_MIB, "{taken} MiB");
    assert!(report["unseen"]["dropped"].as_u64() > Some(0) && report["requests"].as_u64() >= Some(32), "{report}");
}
