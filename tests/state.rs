//! State that hosts share: a Redis behind handlers, which may be gone, come back, or refuse.
//!
//! What the store itself does is told beside it, in `host/src/capability/keyvalue/tests.rs`; here it is what callers see
//! of it, and operators.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Broker, OsloClient, OsloError, PATIENCE, Redis, Scratch, Serve, Vhost, guest::counting, nova_host,
};

/// Hosts of one service, whose handler counts its requests in its state, and its caller.
struct Story {
    hosts: Vec<Serve>,
    client: OsloClient,
    _vhost: Vhost,
    _scratch: Scratch,
}

impl Story {
    /// Starts hosts, with handlers' state at a URL.
    fn begin(hosts: usize, url: &str) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        scratch.write("handlers/counter.wasm", counting(""));
        scratch.write("handlers/counter.toml", "grants.keyvalue = true");
        let serve = |number| {
            Serve::with_config(&format!(
                "transport_url = \"{}\"\nserver = \"host-{number}\"\nhandlers.directory = \"{}/handlers\"\n\
                 keyvalue.url = \"{url}\"\ncontrol.socket = \"none\"\nlog = \"debug,lapin=off\"",
                vhost.url(),
                scratch.path().display(),
            ))
        };
        let hosts = (0..hosts).map(serve).collect();
        Self { hosts, client: OsloClient::start(&vhost.url()), _vhost: vhost, _scratch: scratch }
    }

    /// Asks one host.
    fn call(&self, host: usize) -> Result<Value, Box<OsloError>> {
        let (server, timeout) = (format!("host-{host}"), PATIENCE.as_secs());
        self.client.call(json!({"topic": "conductor", "method": "m", "server": server, "timeout": timeout}))
    }

    fn counts(&self, host: usize) -> Value {
        self.call(host).expect("it counts")
    }

    /// The handler is told that the store does not work, and traps.
    fn fails(&self, host: usize) {
        let remote = self.call(host).expect_err("there is no store").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, "HandlerTrapped");
    }
}

#[test]
fn hosts_share_their_handlers_state_and_find_it_again_after_a_power_cut() {
    let mut redis = Redis::start(&[]);
    let mut story = Story::begin(2, &format!("redis://{}/5", redis.address()));
    let log = story.hosts[0].log();
    assert!(log.contains(&format!("handlers' state is kept at=redis://{}/5", redis.address())), "{log}");
    assert_eq!([0, 1, 1, 0].map(|host| story.counts(host)), [1, 2, 3, 4]);

    redis.kill();
    for host in [0, 1, 0] {
        story.fails(host);
    }
    redis.start_again();
    assert_eq!([0, 1].map(|host| story.counts(host)), [5, 6]);
    for host in &mut story.hosts {
        host.wait_for_log("the key-value store works again");
        // Once, however many requests have found it out.
        let log = host.log();
        let told = log.lines().filter(|line| line.contains("ERROR") && line.contains("the key-value store"));
        assert_eq!(told.count(), 1, "{log}");
    }
}

#[test]
fn a_redis_that_comes_later_or_refuses_does_not_keep_the_service_from_starting() {
    let mut redis = Redis::start(&["--requirepass", "hunter2"]);
    let mut wrong = Story::begin(1, &format!("redis://:hunter3@{}", redis.address()));
    wrong.hosts[0].wait_for_log("it does not take user or password (WRONGPASS)");
    wrong.fails(0);
    let log = wrong.hosts[0].log();
    assert!(!log.contains("hunter"), "{log}");
    drop(wrong);

    redis.kill();
    let mut early = Story::begin(1, &format!("redis://:hunter2@{}", redis.address()));
    early.hosts[0].wait_for_log("the key-value store does not work error=no connection");
    early.fails(0);
    redis.start_again();
    assert_eq!(early.counts(0), 1);
    let log = early.hosts[0].log();
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn two_places_for_state_are_a_mistake_beside_the_others() {
    let settings = ["keyvalue.path=/state", "keyvalue.url=redis://:hunter2@h", "max_in_flight=0"];
    let mut command = Command::new(nova_host());
    command.args(["check", "--transport-url", "memory://"]).args(settings.iter().flat_map(|set| ["--set", set]));
    let output = command.output().expect("nova-host runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("max_in_flight: must be from"), "{said}");
    assert!(said.contains("keyvalue.url: state is kept in one place: give keyvalue.path or keyvalue.url"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
