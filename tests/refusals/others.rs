//! How long others wait while something is ill: a measurement, and no story, for the time is the machine's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nova_host::{
    client::{CallOptions, Client, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{call, declare_full, host, is_idle, json_type};
use crate::harness::{Broker, Serve, Vhost, client};

/// Who is not concerned: sixteen callers, with a connection and a reply queue that they have had from the beginning.
struct Others {
    runtime: Runtime,
    client: Arc<Client>,
}

impl Others {
    fn start(url: &str) -> Self {
        let (runtime, client) = client(url);
        let others = Self { runtime, client };
        others.call_for(Duration::from_secs(1));
        others
    }

    /// The 99th percentile of what they wait in some seconds.
    fn percentile(&self) -> Duration {
        let took = self.call_for(Duration::from_secs(6));
        took[took.len() * 99 / 100]
    }

    /// What their calls took, the shortest first.
    fn call_for(&self, time: Duration) -> Vec<Duration> {
        let caller = |n: u64| {
            let client = Arc::clone(&self.client);
            self.runtime.spawn(async move {
                let (begun, mut took) = (Instant::now(), Vec::new());
                while begun.elapsed() < time {
                    let started = Instant::now();
                    let sum = client.call(add(n), CallOptions::default()).await.expect("it is answered");
                    assert_eq!(sum.get(), (n + 1).to_string());
                    took.push(started.elapsed());
                }
                took
            })
        };
        let callers: Vec<_> = (0..16).map(caller).collect();
        let took = callers.into_iter().flat_map(|caller| self.runtime.block_on(caller).expect("no caller panics"));
        let mut took: Vec<Duration> = took.collect();
        took.sort_unstable();
        took
    }
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

/// Casts that die, some hundred a second, until it is dropped.
struct Dying {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dying {
    fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, url) = (Arc::clone(&stop), url.to_owned());
        let thread = std::thread::spawn(move || {
            let (runtime, client) = client(&url);
            while !stopped.load(Ordering::Relaxed) {
                let nobodys = Invocation { method: "nope".to_owned(), ..add(1) };
                runtime.block_on(client.cast(nobodys, CallOptions::default())).expect("the broker has it");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Dying {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// What others wait before something is ill, meanwhile, and after; and what the host has counted.
fn measure(what: &str, url: &str, host: &Serve, falls_ill: impl FnOnce() -> Dying, recovers: impl FnOnce()) {
    let others = Others::start(url);
    let before = others.percentile();
    let ill = falls_ill();
    let meanwhile = others.percentile();
    drop(ill);
    recovers();
    let after = others.percentile();
    let times = meanwhile.as_secs_f64() / before.as_secs_f64();
    eprintln!("{what}: p99 of others {before:.2?} before, {meanwhile:.2?} meanwhile ({times:.2}), {after:.2?} after");
    let metrics = host.metrics();
    let is_telling = |line: &&str| line.contains("replies_total{") || line.contains("dead_letters");
    eprintln!("{}", metrics.lines().filter(is_telling).collect::<Vec<_>>().join("\n"));
}

/// Calls whose replies go to a queue that is ill.
fn calls(vhost: &Vhost, reply_queue: &str, count: u32) {
    for _ in 0..count {
        vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": 1, "b": 1}), reply_queue));
    }
}

#[test]
#[ignore = "measures; cargo test --release --test e2e -- --ignored --nocapture refusals::"]
fn how_long_others_wait_while_something_is_ill_is_measured() {
    // The same that is asked below, and all is well: what it costs to answer more.
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    let well = host(&vhost.url(), "delivery.dead_letter_exchange = \"dead\"");
    let more = || {
        ["letters", "first", "second"].into_iter().for_each(|queue| vhost.declare_queue(queue, &json!({})));
        vhost.bind("dead", "letters", "");
        let dying = Dying::start(&vhost.url());
        ["first", "second"].into_iter().for_each(|queue| calls(&vhost, queue, 300));
        dying
    };
    measure("more is asked and all is well", &vhost.url(), &well, more, || {});
    drop(well);

    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    let ill = host(&vhost.url(), "delivery.dead_letter_exchange = \"dead\"");
    let full = || {
        declare_full(&vhost, "letters");
        vhost.bind("dead", "letters", "");
        declare_full(&vhost, "full");
        let dying = Dying::start(&vhost.url());
        calls(&vhost, "full", 300);
        calls(&vhost, "gone", 300);
        dying
    };
    measure("a reply queue full, one gone, the dead-letter queue full", &vhost.url(), &ill, full, || {});
    drop(ill);

    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    let name = format!("barred-{}", std::process::id());
    vhost.add_user(&name, Some("secret"));
    let but_dead = json!({"configure": ".*", "write": "^(nova|conductor.*|reply_.*|amq\\.default)$", "read": ".*"});
    vhost.set_permissions(&name, &but_dead);
    let url = vhost.url().replace("guest:guest", &format!("{name}:secret"));
    let barred = host(&url, "delivery.dead_letter_exchange = \"dead\"");
    measure("the dead-letter exchange forbidden", &vhost.url(), &barred, || Dying::start(&vhost.url()), || {});
    drop(barred);
    vhost.delete_user(&name);

    let cluster = Broker::cluster(3);
    let vhost = cluster.vhost();
    let (here, there) = (&vhost.addresses()[0], 1);
    let only_here = vhost.url_by(std::slice::from_ref(here));
    vhost.declare_queue_at(there, "frozen", &json!({"x-queue-type": "quorum", "x-quorum-initial-group-size": 1}));
    let beside = host(&only_here, "");
    // Fewer than may wait without a place, and more than there are places.
    for count in [16, 300] {
        let freezes = || {
            cluster.pause_node(there);
            calls(&vhost, "frozen", count);
            Dying { stop: Arc::default(), thread: None }
        };
        let what = format!("a reply queue silent, {count} calls at once for it");
        measure(&what, &only_here, &beside, freezes, || cluster.resume_node(there));
        is_idle(&vhost, "conductor");
    }
}
