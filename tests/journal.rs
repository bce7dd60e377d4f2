//! What an operator reads of a running service's requests: those in flight, how the methods do, and what failed.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, PATIENCE, Scratch, Serve, Vhost, eventually, handlers, nova_host};

/// A service with the calculator, and who asks it.
struct Story {
    scratch: Scratch,
    host: Serve,
    client: OsloClient,
    _vhost: Vhost,
}

impl Story {
    fn begin() -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        let component = std::fs::read(handlers().join("calculator.wasm")).expect("it is built");
        scratch.write("handlers/calculator.wasm", component);
        scratch.write("handlers/calculator.toml", "limits.timeout = \"10m\"\nlimits.concurrency = 2\n");
        let configuration = format!(
            "transport_url = \"{}\"\nhandlers.directory = \"{path}/handlers\"\ncontrol.socket = \"{path}/control.sock\"\n",
            vhost.url(),
            path = scratch.path().display(),
        );
        scratch.write("nova-host.toml", &configuration);
        let host = Serve::with_config(&configuration);
        let client = OsloClient::start(&vhost.url());
        Self { scratch, host, client, _vhost: vhost }
    }

    fn request(method: &str, args: &Value) -> Value {
        json!({
            "topic": "conductor", "version": "1.3", "method": method, "args": args, "timeout": PATIENCE.as_secs(),
            "context": {"request_id": format!("req-of-{method}"), "auth_token": "never to be seen"},
        })
    }

    /// What a command of `nova-host` prints.
    fn told(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(nova_host());
        command.args(arguments).arg("--config").arg(self.scratch.path().join("nova-host.toml"));
        let output = command.output().expect("nova-host runs");
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!told.contains("never to be seen"), "{told}");
        told
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.told(&[arguments, &["--json"]].concat())).expect("JSON")
    }
}

#[test]
fn an_operator_reads_what_runs_what_waits_and_how_the_methods_do() {
    let mut story = Story::begin();
    assert_eq!(story.told(&["requests"]), "no request in flight\n");
    for _ in 0..3 {
        story.client.call(Story::request("add", &json!({"a": 1, "b": 2}))).expect("a sum");
    }
    for _ in 0..3 {
        story.client.cast(Story::request("loop_forever", &json!({}))).expect("the broker has it");
    }
    let told = eventually("two that run, and one that waits", || {
        let told = story.json(&["requests"]);
        let states = told["requests"].as_array()?.iter().map(|request| &request["state"]);
        let mut states: Vec<&Value> = states.collect();
        states.sort_by_key(|state| state.to_string());
        (states == ["running", "running", "waiting-for-place"]).then_some(told)
    });
    let first = &told["requests"][0];
    let known = json!({
        "kind": "cast", "method": "loop_forever", "namespace": null, "version": "1.3", "handler": "calculator",
        "generation": 1, "request_id": "req-of-loop_forever", "message_id": null, "trace_id": null,
    });
    for (name, value) in known.as_object().expect("an object") {
        assert_eq!(first[name], *value, "{name} of {first}");
    }
    let add = told["methods"].as_array().expect("a list").iter().find(|method| method["method"] == "add");
    let add = add.unwrap_or_else(|| panic!("no add in {told}"));
    assert_eq!((&add["handler"], &add["requests"], &add["failures"]), (&"calculator".into(), &3.into(), &json!([])));
    assert!(add["p50_us"].as_u64() > Some(0) && add["p99_us"].as_u64() >= add["p50_us"].as_u64(), "{add}");
    let table = story.told(&["requests"]);
    assert!(table.starts_with("age ") && table.contains("  loop_forever  1.3      calculator  1 "), "{table}");
    assert!(table.contains("\ncalculator  add "), "{table}");
    story.host.kill();
}

#[test]
fn an_operator_reads_what_failed_where_and_why() {
    let story = Story::begin();
    assert_eq!(story.told(&["failures"]), "no failure\n");
    let fails = |method: &str, args: Value| {
        story.client.call(Story::request(method, &args)).expect_err("it fails");
    };
    fails("divide", json!({"a": 1, "b": 0}));
    fails("panic", json!({"message": "words of\nthe guest"}));
    fails("no_such", json!({"secret": "an argument that nobody sees"}));
    (0..30).for_each(|_| fails("not_found", json!({"instance_id": "i-7"})));
    let told = story.json(&["failures"]);
    let failures = told["failures"].as_array().expect("a list");
    let of = |handler: Value| failures.iter().filter(|failure| failure["handler"] == handler).count();
    assert_eq!((of("calculator".into()), of(Value::Null)), (20, 1), "{told}");
    let (latest, nobodys) = (&failures[0], failures.iter().find(|failure| failure["handler"].is_null()));
    assert_eq!((&latest["class"], &latest["outcome"]), (&"nova.exception.InstanceNotFound".into(), &"failed".into()));
    assert_eq!(latest["message_id"].as_str().map(str::len), Some(32), "{latest}");
    let nobodys = nobodys.expect("one that no handler had");
    assert_eq!(nobodys["class"], "oslo_messaging.rpc.dispatcher.NoSuchMethod");
    assert!(!told.to_string().contains("an argument that nobody sees"), "{told}");

    fails("panic", json!({"message": "words of\nthe guest"}));
    let latest = story.json(&["failures", "--last", "1", "--handler", "calculator"])["failures"][0].take();
    assert_eq!((&latest["outcome"], &latest["request_id"]), (&"trapped".into(), &"req-of-panic".into()));
    let message = latest["message"].as_str().expect("words");
    assert!(message.starts_with("the handler trapped: ") && message.ends_with(r"words of\nthe guest"), "{message}");
    let frames = latest["frames"].as_array().expect("a list");
    assert!(frames.iter().any(|frame| frame.as_str().is_some_and(|frame| frame.contains("panic"))), "{latest}");
    let lines = story.told(&["failures", "--last", "1"]);
    assert!(lines.starts_with("panic 1.3, a call: trapped ") && lines.contains("\n  frames    at "), "{lines}");
    assert!(lines.contains("\n  handler   calculator, generation 1, sha256:"), "{lines}");
    assert!(story.told(&["failures", "--handler", "other"]).contains("no failure"));

    let methods = story.json(&["requests"])["methods"].take();
    let of = |name: &str| methods.as_array()?.iter().find(|method| method["method"] == name).cloned();
    let failed = of("not_found").expect("its method")["failures"].take();
    assert_eq!(failed, json!([{"class": "nova.exception.InstanceNotFound", "count": 30}]));
    assert_eq!(of("no_such"), None, "no handler has it");
}
