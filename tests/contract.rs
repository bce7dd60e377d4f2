//! What a typed handler promises: read by a Python developer, by a program, and by who exchanges it.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Broker, Scratch, Serve, handlers, nova_host, repository};

/// What a Python developer writes on top of the module that `nova-host schema --python` has written.
const PROGRAM: &str = r#"
import json, sys, typing

from oslo_config import cfg
import oslo_messaging

import inventory

cfg.CONF([], project="nova-host-tests")
transport = oslo_messaging.get_rpc_transport(cfg.CONF, sys.argv[1])
api = inventory.Api(transport, "conductor").prepare(timeout=30)
flavor: inventory.Flavor = {"name": "m1", "vcpus": 4, "memory_mb": 1, "avoid": [], "needs": ["gpu"]}
try:
    api.add({}, a=1)
    wrong = None
except TypeError as error:
    wrong = str(error)
print(json.dumps({
    "add": api.add({}, a=1, b=2),
    "reserve": api.reserve({}, flavor=flavor, placement={"beside": "i-1"}),
    "user": inventory.AuditLog(transport, "conductor").prepare(timeout=30).user({"user_id": "ada"}),
    "hints": sorted(typing.get_type_hints(inventory.Api.reserve)),
    "required": sorted(inventory.Flavor.__required_keys__),
    "optional": sorted(inventory.Flavor.__optional_keys__),
    "wrong": wrong,
}))
"#;

fn run(arguments: &[&str]) -> Output {
    let scratch = Scratch::new();
    let mut command = Command::new(nova_host());
    command.args(arguments).current_dir(scratch.path()).env("XDG_CACHE_HOME", scratch.path());
    command.output().expect("nova-host runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn component(name: &str) -> String {
    handlers().join(format!("{name}.wasm")).display().to_string()
}

#[test]
fn a_python_developer_imports_the_client_and_calls() {
    let vhost = Broker::shared().vhost();
    let directory = Scratch::new();
    directory.write("inventory.wasm", std::fs::read(component("inventory")).expect("it was built"));
    let _host = Serve::with_config(&format!(
        "transport_url = \"{}\"\nhandlers.directory = \"{}\"\n",
        vhost.url(),
        directory.path().display()
    ));
    let program = Scratch::new();
    program.write("inventory.py", stdout(&run(&["schema", "--python", &component("inventory")])));
    let file = program.write("program.py", PROGRAM);
    let mut python = Command::new(repository().join("target/venv/bin/python"));
    let ran = python.arg(file).arg(vhost.url()).env("PYTHONDONTWRITEBYTECODE", "1").output().expect("Python runs");
    let told: Value = serde_json::from_str(&stdout(&ran)).expect("JSON");
    assert_eq!(told["add"], 3);
    assert_eq!(told["reserve"], json!([{"host": "n2", "zone": "north", "share": 0.0625, "metadata": null}]));
    assert_eq!(told["user"], "ada");
    assert_eq!(told["hints"], json!(["count", "flavor", "placement", "return"]));
    assert_eq!(told["required"], json!(["avoid", "memory_mb", "name", "needs", "vcpus"]));
    assert_eq!(told["optional"], json!(["metadata"]));
    assert_eq!(told["wrong"], "Api.add() missing 1 required keyword-only argument: 'b'");
}

#[test]
fn a_program_reads_the_schema() {
    let schema: Value = serde_json::from_str(&stdout(&run(&["schema", &component("inventory")]))).expect("JSON");
    let api = &schema["endpoints"][0];
    assert_eq!((&api["namespace"], &api["version"]), (&json!(null), &json!("1.2")));
    let reserve = &api["methods"]["reserve"];
    assert_eq!(reserve["arguments"]["required"], json!(["flavor"]));
    assert_eq!(reserve["result"], json!({"type": "array", "items": {"$ref": "#/$defs/Reservation"}}));
    assert_eq!(reserve["raises"], json!(["NoValidHost", "InstanceNotFound", "ValueError"]));
    assert_eq!(schema["$defs"]["Zone"], json!({"enum": ["north", "far_south"]}));
    let dynamic = run(&["schema", &component("calculator")]);
    assert_eq!(dynamic.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&dynamic.stderr).contains("a dynamic handler, whose methods have no types"));
}

#[test]
fn inspect_prints_methods_with_their_types() {
    let text = stdout(&run(&["inspect", &component("inventory")]));
    assert!(text.contains("add(a: s64, b: s64) -> s64\n"), "{text}");
    assert!(text.contains("user() -> string raises RuntimeError\n"), "{text}");
    let json: Value =
        serde_json::from_str(&stdout(&run(&["inspect", "--json", &component("inventory")]))).expect("JSON");
    assert_eq!(json["types"]["acme:inventory/audit-log@1.2.0"]["note"], "note(line: string)");
}

#[test]
fn who_exchanges_a_handler_learns_what_breaks() {
    let (inventory, calculator) = (component("inventory"), component("calculator"));
    let same = run(&["check", "--against", &inventory, &inventory]);
    assert_eq!((same.status.code(), stdout(&same).as_str()), (Some(0), ""));
    let other = run(&["check", "--against", &inventory, &calculator]);
    assert_eq!(other.status.code(), Some(3));
    let told = String::from_utf8_lossy(&other.stdout);
    // The calculator has methods of the null namespace in version 1.3, and no types: whether callers fit, nobody can tell.
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "1.2: add: its types are not known any more",
            "1.2: echo: its types are not known any more",
            "1.2: reserve is no longer served",
            "1.2: reversed is no longer served",
            "1.2: total: its types are not known any more",
            "audit_log 1.2: fail is no longer served",
            "audit_log 1.2: note is no longer served",
            "audit_log 1.2: user is no longer served",
        ]
    );
    assert!(String::from_utf8_lossy(&other.stderr).contains("in 8 way(s)"), "{other:?}");
    assert_eq!(run(&["check", "--against", &inventory]).status.code(), Some(2));
}
