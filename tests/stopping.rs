//! Before a service serves, and when it is to stop: operators and signals are heard all along, and nothing that does not
//! answer is waited for without a bound.

use std::process::Command;

use serde_json::json;

use crate::harness::{
    Bomb, Broker, OsloClient, PATIENCE, Scratch, Serve, Vhost, eventually,
    guest::{LOOP, answering, guest},
    nova_host,
};

/// Takes minutes to compile, on any machine.
const HUGE: Bomb = Bomb { functions: 12_500, steps: 1000 };

/// A broker that nobody is.
const NOWHERE: &str = "rabbit://guest:guest@127.0.0.1:9/";

/// A host that does not serve yet, and may never.
struct Story {
    scratch: Scratch,
    host: Serve,
}

impl Story {
    fn begin(url: &str, files: &[(&str, &[u8])], more: &str) -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("handlers")).expect("the scratch directory is writable");
        for (name, content) in files {
            scratch.write(&format!("handlers/{name}"), content);
        }
        let configuration = format!(
            "transport_url = \"{url}\"\nserver = \"host-1\"\nhandlers.directory = \"{path}/handlers\"\n\
             handlers.cache = \"{path}/cache\"\ncontrol.socket = \"{path}/control.sock\"\n{more}\n",
            path = scratch.path().display(),
        );
        let file = scratch.write("nova-host.toml", &configuration).display().to_string();
        let host = Serve::unready(["--config", &file]);
        Self { scratch, host }
    }

    /// What the host lists.
    fn list(&self) -> String {
        let mut command = Command::new(nova_host());
        command.args(["handlers", "list", "--config"]).arg(self.scratch.path().join("nova-host.toml"));
        let output = command.output().expect("nova-host runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ends_well(&mut self) {
        let status = self.host.wait(PATIENCE).unwrap_or_else(|| panic!("it goes on:\n{}", self.host.log()));
        assert!(status.success(), "{status}:\n{}", self.host.log());
    }
}

#[test]
fn a_service_that_loads_its_handlers_answers_operators_and_ends_at_a_signal() {
    let files: [(&str, &[u8]); 2] = [("a.wasm", &answering("1")), ("huge.wasm", &HUGE.component())];
    let mut story = Story::begin(NOWHERE, &files, "metrics.listen = \"127.0.0.1:0\"");
    story.host.wait_for_log("handler loaded, generation 1");
    let list = story.list();
    assert!(list.contains("a\n  serving   generation 1") && list.contains("huge\n  serving   nothing yet"), "{list}");
    let ready = story.host.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("loading handlers\n"), "{ready}");
    story.host.signal("TERM");
    story.ends_well();
    assert!(story.host.log().contains("stopped before it has served"), "{}", story.host.log());
    assert!(!story.scratch.path().join("control.sock").exists());
}

#[test]
fn a_service_that_waits_for_its_broker_answers_operators_takes_files_and_says_so() {
    let files: [(&str, &[u8]); 1] = [("a.wasm", &answering("1"))];
    let mut story = Story::begin(NOWHERE, &files, "metrics.listen = \"127.0.0.1:0\"");
    story.host.wait_for_log("cannot reach");
    assert!(story.list().contains("a\n  serving   generation 1"));
    let ready = story.host.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("connecting to the broker\n"), "{ready}");
    assert!(story.host.metrics().contains("\nnova_host_serving 0\n"));
    story.scratch.write("handlers/a.wasm", answering("2"));
    eventually("the new version", || story.list().contains("serving   generation 2").then_some(()));
    story.host.signal("TERM");
    story.ends_well();
}

/// A service with three requests that never end, and a broker that answers nothing any more.
fn frozen(broker: &Broker, vhost: &Vhost, more: &str) -> (Story, OsloClient) {
    let files: [(&str, &[u8]); 2] = [("a.wasm", &guest(LOOP)), ("a.toml", b"[limits]\ntimeout = \"600s\"")];
    // What notices a dead connection is patient, so that only stopping itself has bounds.
    let patient = "rabbit.heartbeat_timeout_threshold = 600\nrabbit.connect_timeout = 600";
    let mut story = Story::begin(&vhost.url(), &files, &format!("{patient}\n{more}"));
    story.host.wait_for_log("serving");
    let client = OsloClient::start(&vhost.url());
    for _ in 0..3 {
        client.cast(json!({"topic": "conductor", "method": "m"})).expect("the broker has it");
    }
    eventually("three requests", || story.list().contains("3 in flight").then_some(()));
    broker.pause_node(0);
    (story, client)
}

#[test]
fn a_broker_that_is_frozen_does_not_keep_a_service_that_is_to_stop() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let (mut story, _client) = frozen(&broker, &vhost, "grace_period = \"5s\"");
    story.host.signal("TERM");
    story.host.wait_for_log("told to stop");
    story.ends_well();
    broker.resume_node(0);
    // Nothing is lost.
    vhost.eventually("conductor", |queue| queue.ready == 3);
}

#[test]
fn a_second_signal_does_not_wait_for_a_frozen_broker_either() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let (mut story, _client) = frozen(&broker, &vhost, "grace_period = \"600s\"");
    story.host.signal("TERM");
    story.host.wait_for_log("told to stop");
    story.host.signal("INT");
    story.host.wait_for_log("told to stop at once");
    story.ends_well();
    broker.resume_node(0);
    vhost.eventually("conductor", |queue| queue.ready == 3);
}
