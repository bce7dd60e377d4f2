//! What those who attack the HTTP listeners cost callers, in the same run.

use std::fs::Permissions;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nova_host::client::{Client, Target};
use nova_host::envelope::Text;
use serde_json::json;

use super::{
    BOB,
    strangers::{Attack, Ending},
    write_tokens,
};
use crate::harness::{
    Api, Broker, Certificates, Scratch,
    load::{client, record},
};
use crate::oslo::serve;

/// Calls that are measured each time.
const CALLS: usize = 3000;

/// Attackers, and connections of each: ten thousand.
const ATTACKERS: usize = 4;
const OPEN: usize = 2500;

#[test]
#[ignore = "measures; cargo test --release -p nova-host --test e2e -- --ignored --nocapture admin::cost"]
fn what_attackers_of_the_http_listeners_cost_callers_is_measured() {
    let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
    let tokens = write_tokens(&scratch, &[("bob", "read", BOB)]);
    let more = format!(
        "metrics.listen = \"127.0.0.1:0\"\ncontrol.socket = \"none\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntokens = \"{}\"",
        tokens.display()
    );
    let host = serve(&vhost, "host-1", &more);
    let (runtime, client) = client(&vhost.url());
    let (admin, metrics) = (Api::of(&host).address().to_owned(), host.metrics_address());
    // The same attack against somebody else: what the attackers take of the machine, and not of the service.
    let other = bystander();
    let measure = || runtime.block_on(calls(&client));
    // The first ones make connections and queues.
    measure();
    for attack in Attack::ALL {
        println!("{attack:?}");
        let quiet = measure();
        println!("  nobody:            p50 {:?}, p99 {:?}", quiet[0], quiet[1]);
        for (name, address) in [("somebody else", &other), ("the admin API", &admin), ("the metrics", &metrics)] {
            let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
            let open = if matches!(attack, Attack::Silence | Attack::SlowHead) { OPEN } else { 8 };
            thread::scope(|scope| {
                let _ending = Ending(&stop);
                for _ in 0..ATTACKERS {
                    scope.spawn(|| attack.run(address, open, &stop, &made));
                }
                let took = measure();
                let made = made.load(Ordering::Relaxed);
                println!("  {name:18} p50 {:?}, p99 {:?} ({made} connections)", took[0], took[1]);
            });
        }
    }
}

#[test]
#[ignore = "measures, as above"]
fn what_handshakes_cost_callers_is_measured() {
    let (vhost, scratch, certificates) = (Broker::shared().vhost(), Scratch::new(), Certificates::for_user("ops"));
    let (tokens, path) = (write_tokens(&scratch, &[("bob", "read", BOB)]), certificates.path().display());
    std::fs::set_permissions(certificates.file("key.pem"), Permissions::from_mode(0o600)).expect("it is ours");
    let more = format!(
        "control.socket = \"none\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntokens = \"{}\"\n\
         certificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"",
        tokens.display()
    );
    let host = serve(&vhost, "host-1", &more);
    let (runtime, client) = client(&vhost.url());
    let measure = || runtime.block_on(calls(&client));
    measure();
    let quiet = measure();
    println!("Handshakes\n  nobody:            p50 {:?}, p99 {:?}", quiet[0], quiet[1]);
    let api = Api::secure(&host, &certificates, None);
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _ending = Ending(&stop);
        for _ in 0..ATTACKERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    api.get("/api/v1/status");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let took = measure();
        println!(
            "  the admin API      p50 {:?}, p99 {:?} ({} handshakes)",
            took[0],
            took[1],
            made.load(Ordering::Relaxed)
        );
    });
}

/// Listens, reads a little and closes, in the least code.
fn bystander() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        let mut kept = std::collections::VecDeque::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
            let length = stream.read(&mut [0; 8192]).unwrap_or_default();
            kept.push_back((stream, length));
            if kept.len() > 256 {
                kept.pop_front();
            }
        }
    });
    address
}

/// Calls one after the other; gives the median and the 99th percentile.
async fn calls(client: &Client) -> [Duration; 2] {
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let mut call = record(Target::new("nova", "conductor"), 1);
        (call.method, call.arguments) = ("add".to_owned(), Text::of(&json!({"a": 1, "b": 2})));
        let begun = Instant::now();
        let answer = client.call(call, Duration::from_secs(30)).await;
        assert!(answer.is_ok(), "{answer:?}");
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    [50, 99].map(|percent| took[took.len() * percent / 100])
}
