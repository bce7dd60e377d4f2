//! Recording requests and running them again: what an operator and the author of a handler type.

mod docs;
mod hostile;
mod languages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, Scratch, Serve, eventually, handlers, nova_host};

/// A directory in which somebody records and replays on `memory://`.
struct Desk {
    scratch: Scratch,
}

impl Desk {
    /// With these components, and manifests of this text.
    fn with(components: &[&Path], manifest: &str) -> Self {
        let scratch = Scratch::new();
        for component in components {
            let name = component.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            scratch.write(&format!("handlers/{name}.wasm"), fs::read(component).expect("it is built"));
            scratch.write(&format!("handlers/{name}.toml"), manifest);
        }
        let path = scratch.path().display();
        scratch.write(
            "nova-host.toml",
            format!(
                "transport_url = \"memory://\"\ntopic = \"conductor\"\nhandlers.directory = \"{path}/handlers\"\n\
                 [record]\ndirectory = \"{path}/recordings\"\nshare = \"100%\"\n"
            ),
        );
        Self { scratch }
    }

    fn calculator() -> Self {
        Self::with(&[&handlers().join("calculator.wasm")], "")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(nova_host());
        command.args(arguments).current_dir(self.scratch.path());
        command.output().expect("nova-host runs")
    }

    /// What a command prints that succeeds.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a command says that ends with a code.
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// A replay's comparisons, one for each recording.
    fn replayed(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(&[&["replay", "recordings", "--json"], arguments].concat());
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let all: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let is_same = all.iter().all(|one| one["same"] == true);
        assert_eq!(output.status.code(), Some(if is_same { 0 } else { 3 }), "{output:?}");
        all
    }

    fn call(&self, method: &str, arguments: &Value) -> Output {
        self.run(&["call", method, &arguments.to_string()])
    }

    /// The recordings, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.path().join("recordings")).expect("there are recordings");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it is there").path()).collect();
        files.sort();
        files
    }

    fn only(&self) -> String {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].display().to_string()
    }
}

#[test]
fn a_failure_is_recorded_and_its_id_is_in_the_log_and_in_its_dead_letter() {
    let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
    vhost.declare_exchange("dead", "fanout");
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("dead", "letters", "");
    let path = scratch.path().display().to_string();
    let config = format!(
        "transport_url = \"{}\"\nhandlers.directory = \"{}\"\ndelivery.dead_letter_exchange = \"dead\"\n\
         control.socket = \"{path}/control.sock\"\n[record]\ndirectory = \"{path}/recordings\"\noutcomes = \"failures\"\n",
        vhost.url(),
        handlers().display(),
    );
    let mut host = Serve::with_config(&config);
    let client = OsloClient::start(&vhost.url());
    let request = |method: &str, args: Value| {
        json!({
            "topic": "conductor", "version": "1.3", "method": method, "args": args,
            "context": {"request_id": "req-7", "auth_token": "gAAAAABtoken", "user": "gAAAAABtoken's"},
        })
    };
    client.call(request("add", json!({"a": 1, "b": 2}))).expect("a sum");
    client.call(request("divide", json!({"a": 1, "b": 0}))).expect_err("it fails");
    client.cast(request("fail", json!({"class": "KeyError", "message": "gAAAAABtoken"}))).expect("the broker has it");
    let letter = eventually("a dead letter", || vhost.take("letters", 1).pop());
    let died = letter.properties["headers"]["x-dead-recording"].as_str().expect("an id").to_owned();
    eventually("the line with the id", || host.log().contains(&format!("recording=\"{died}\"")).then_some(()));
    let socket = format!("control.socket={path}/control.sock");
    let mut failures = Command::new(nova_host());
    let failures = failures.args(["failures", "--set", &socket]).output().expect("nova-host runs");
    let failures = String::from_utf8_lossy(&failures.stdout).into_owned();
    assert!(failures.contains(&format!("  recording {died}")), "{failures}");
    host.stop();

    let run = |arguments: &[&str]| {
        let mut command = Command::new(nova_host());
        command.args(arguments).args([
            "--set",
            &format!("record.directory={path}/recordings"),
            "--set",
            "record.share=100%",
        ]);
        let output = command.args(["--handlers", &handlers().display().to_string()]).output().expect("nova-host runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // What succeeded is not there.
    let listed = run(&["recordings", "list"]);
    assert!(listed.lines().count() == 2 && listed.contains(" divide: failed") && listed.contains(&died), "{listed}");
    let exported = run(&["recordings", "export", &died]);
    assert!(!exported.contains("gAAAAABtoken"), "{exported}");
    let stars = "*".repeat("gAAAAABtoken".len());
    for text in [format!("\"auth_token\": \"{stars}\""), format!("\"user\": \"{stars}'s\"")] {
        assert!(exported.contains(&text), "no {text} in {exported}");
    }
    let replayed = run(&["replay", &format!("{path}/recordings")]);
    assert!(replayed.contains("2 replayed: 2 the same, 0 not"), "{replayed}");
}

#[test]
fn a_trap_is_replayed_with_its_frames_and_every_call() {
    let desk = Desk::calculator();
    desk.call("log", &json!({"level": "info", "message": "a line", "times": 1}));
    desk.call("panic", &json!({"message": "on fire"}));
    let told = desk.told(&["replay", "recordings", "--trace", "--wat-trap"]);
    assert!(told.contains("nova:rpc/log.write [\"info\",\"a line\"] -> null"), "{told}");
    // The handler says nothing to anybody, whatever is logged.
    let output = desk.run(&["replay", "recordings", "--log", "trace"]);
    let logged = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !logged.contains("a line"), "{logged:.3000}");
    assert!(told.contains("same  panic: trapped") && told.contains("  at nova_guest::call::Call::run"), "{told}");
}

#[test]
fn a_typed_handler_is_replayed_with_its_errors() {
    let desk = Desk::with(&[&handlers().join("inventory.wasm")], "errors.module = \"nova.exception\"");
    for (method, arguments) in [
        ("reversed", json!({"data": "AAEC"})),
        ("reserve", json!({"flavor": {}})),
        ("echo", json!({"value": {"a": 12345678901234567890123_u128 as f64}})),
    ] {
        desk.call(method, &arguments);
    }
    let failed = desk.run(&["call", "fail", "--namespace", "audit_log", "--version", "1.2"]);
    assert!(!failed.status.success(), "{failed:?}");
    let all = desk.replayed(&[]);
    assert!(all.len() == 4 && all.iter().all(|one| one["same"] == true), "{all:#?}");
}

#[test]
fn a_component_that_was_changed_is_found_out() {
    let desk = Desk::calculator();
    desk.call("divide", &json!({"a": 1, "b": 2}));
    // Another component, which does not have the method.
    let other = desk.scratch.write("other.wasm", fs::read(handlers().join("inventory.wasm")).expect("it is built"));
    let told = desk.refused(3, &["replay", "recordings", "--handler", &other.display().to_string()]);
    assert!(told.contains("DIFFERS") && told.contains("the component does not offer divide"), "{told}");
    // And none, where the recorded one has gone.
    fs::remove_file(desk.scratch.path().join("handlers/calculator.wasm")).expect("it was there");
    let told = desk.refused(2, &["replay", "recordings"]);
    assert!(told.contains("is not in") && told.contains("--handler FILE"), "{told}");
}
