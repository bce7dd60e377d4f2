//! Requests to build instances, against what nova itself sent and got.

use std::time::Duration;

use nova_guest::{
    Failure,
    rpc::{self, Error, Target},
    serde_json::{self, Value, json},
    testing::{Answer, Request},
};

use crate::Conductor;

/// What a nova client, its conductor, scheduler and compute said to each other, recorded.
const CHAIN: &str = include_str!("../../../../tests/golden/nova/17-task-build_instances-chain.json");

/// A message of the recording, from its inside: the first of this method, or with this key.
pub(super) fn recorded(key: &str, value: Option<&str>) -> Value {
    let chain: Value = serde_json::from_str(CHAIN).unwrap();
    let sides = chain.as_object().unwrap().values().filter_map(Value::as_array);
    let messages = sides.flatten().filter_map(|frame| {
        let outer: Value = serde_json::from_str(frame["body"].as_str()?).ok()?;
        serde_json::from_str::<Value>(outer["oslo.message"].as_str()?).ok()
    });
    let wanted = |message: &Value| value.map_or(message.get(key).is_some(), |value| message[key] == value);
    let mut messages = messages;
    messages.find(wanted).unwrap()
}

pub(super) fn modern() -> Value {
    recorded("method", Some("build_instances"))["args"].clone()
}

fn old() -> Value {
    json!({
        "instances": [{"uuid": "a", "vcpus": 1}, {"uuid": "b"}],
        "image": {"id": "image-1"},
        "filter_properties": {"instance_type": {"id": 1}},
        "admin_password": "secret-password",
        "injected_files": [["/etc/motd", "hello"]],
        "requested_networks": null,
        "security_groups": ["default"],
        "block_device_mapping": [{"device_name": "vda"}],
        "legacy_bdm": false,
    })
}

fn build(
    version: &str,
    arguments: Value,
    scheduler: impl FnMut(&rpc::Request) -> Result<Value, Error> + 'static,
) -> Answer {
    Request::new("build_instances", arguments)
        .namespace("compute_task")
        .version(version)
        .context(json!({"request_id": "req-1", "auth_token": "secret-token"}))
        .cast()
        .answering(scheduler)
        .send::<Conductor>()
}

fn chosen(_: &rpc::Request) -> Result<Value, Error> {
    Ok(recorded("result", None)["result"].clone())
}

fn old_choice(_: &rpc::Request) -> Result<Value, Error> {
    let host = |host: &str, limits| json!({"host": host, "nodename": format!("node-of-{host}"), "limits": limits});
    Ok(json!([host("host-1", json!({"memory_mb": 512})), host("host-2", Value::Null)]))
}

fn parsed(request: &rpc::Request) -> Value {
    serde_json::from_str(&request.arguments).unwrap()
}

/// Without the sets of what was changed in an object, which Python writes in another order each time, and the recorded
/// conductor, who read the objects and wrote them again, has partly lost.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "nova_object.changes");
            kept.map(|(name, value)| (name.clone(), unordered(value))).collect()
        }
        Value::Array(items) => items.iter().map(unordered).collect(),
        other => other.clone(),
    }
}

fn refusal(arguments: Value) -> Failure {
    let answer = build("1.5", arguments, |_| panic!("the scheduler is not asked"));
    assert!(answer.casts.is_empty());
    answer.value().unwrap_err()
}

#[test]
fn the_scheduler_is_asked_what_nova_asks_it() {
    let expected = recorded("method", Some("select_destinations"));
    let answer = build("1.19", modern(), move |request| {
        assert_eq!((request.method.as_str(), request.target.topic.as_str()), ("select_destinations", "scheduler"));
        assert_eq!(unordered(&parsed(request)), unordered(&expected["args"]));
        assert_eq!(request.target.version.as_deref(), expected["version"].as_str());
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        assert_eq!((seconds(request.target.monitor), seconds(request.target.timeout)), (Some(60), Some(1800)));
        chosen(request)
    });
    assert_eq!(answer.value(), Ok(json!(null)));
}

#[test]
fn the_compute_is_told_what_nova_tells_it() {
    let answer = build("1.19", modern(), chosen);
    let expected = recorded("method", Some("build_and_run_instance"));
    let [cast] = answer.casts.as_slice() else { panic!("{:?}", answer.casts) };
    assert_eq!(cast.target, Target::topic("compute").server("host1").version("6.0"));
    let (mut told, mut expected) = (parsed(cast), expected["args"].clone());
    // The recording was made with a conductor that did not count; nova's does.
    let limits = told["limits"].clone();
    assert_eq!(
        told["filter_properties"].take(),
        json!({"retry": {"num_attempts": 2, "hosts": [["host1", "host1"]]}, "limits": limits})
    );
    expected["filter_properties"].take();
    assert_eq!(unordered(&told), unordered(&expected));
}

#[test]
fn requests_without_a_specification_are_handled_as_then() {
    let answer = build("1.5", old(), |request| {
        let arguments = parsed(request);
        assert_eq!(arguments["request_spec"]["num_instances"], 2);
        assert_eq!(arguments["request_spec"]["instance_properties"], json!({"uuid": "a", "vcpus": 1}));
        assert_eq!(arguments["request_spec"]["instance_type"], json!({"id": 1}));
        assert_eq!(arguments["filter_properties"]["retry"], json!({"num_attempts": 1, "hosts": []}));
        assert_eq!(request.target.version.as_deref(), Some("4.0"));
        old_choice(request)
    });
    let [first, second] = answer.casts.as_slice() else { panic!("{:?}", answer.casts) };
    for (cast, host, limits) in [(first, "host-1", json!({"memory_mb": 512})), (second, "host-2", json!({}))] {
        assert_eq!(cast.target, Target::topic("compute").server(host).version("4.0"));
        let told = parsed(cast);
        assert_eq!((&told["node"], &told["limits"]), (&json!(format!("node-of-{host}")), &limits));
        let hosts = json!([[host, format!("node-of-{host}")]]);
        assert_eq!(told["filter_properties"]["retry"]["hosts"], hosts);
        assert_eq!(told["block_device_mapping"], json!([{"device_name": "vda"}]));
        assert_eq!((told.get("host_list"), told.get("accel_uuids")), (None, None));
    }
    assert_eq!(
        (&parsed(first)["instance"], &parsed(second)["instance"]),
        (&old()["instances"][0], &old()["instances"][1])
    );
}

#[test]
fn each_instance_gets_one_line_in_the_log_without_secrets() {
    let answer = build("1.5", old(), old_choice);
    let lines: Vec<_> = answer.log.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["instance a goes to host-1 (1 of 2) for req-1", "instance b goes to host-2 (2 of 2) for req-1"]);
}

#[test]
fn what_the_scheduler_says_passes_to_the_caller_and_nothing_is_built() {
    let none = || Failure::new("nova.exception", "NoValidHost", "No valid host was found. full").kwarg("code", 500);
    for (said, expected) in [
        (Err(Error::Remote(none())), "nova.exception.NoValidHost: No valid host was found. full"),
        (Err(Error::TimedOut("late".into())), "oslo_messaging.exceptions.MessagingTimeout: late"),
        (
            Ok(json!([{"host": "host-1", "nodename": "n", "limits": {}}])),
            "nova.exception.NoValidHost: No valid host was found. The scheduler chose hosts for 1 of 2 instances.",
        ),
        (
            Ok(json!("nonsense")),
            "RuntimeError: the result of select_destinations is not what was expected, at line 1 column 10",
        ),
    ] {
        let answer = build("1.5", old(), move |_| said.clone());
        assert!(answer.casts.is_empty());
        assert_eq!(answer.value().unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_second_try_takes_what_is_left_of_the_choice() {
    let mut arguments = modern();
    arguments["host_lists"] = recorded("result", None)["result"].clone();
    let answer = build("1.19", arguments.clone(), |_| panic!("the scheduler is not asked"));
    assert_eq!(answer.casts.len(), 1);
    arguments["host_lists"] = json!([[]]);
    let exhausted = build("1.19", arguments, |_| panic!("the scheduler is not asked")).value().unwrap_err();
    assert_eq!((exhausted.module(), exhausted.class()), ("nova.exception", "MaxRetriesExceeded"));
    assert!(exhausted.message().contains("Exhausted all hosts available"), "{exhausted}");
}

#[test]
fn an_instance_is_tried_as_often_as_is_allowed() {
    let mut arguments = old();
    arguments["filter_properties"]["retry"] = json!({"num_attempts": 3, "hosts": [], "exc_reason": "no disk"});
    let exhausted = refusal(arguments.clone());
    assert_eq!(exhausted.class(), "MaxRetriesExceeded");
    assert!(exhausted.message().ends_with("attempts 3 for instance a. Last exception: no disk"), "{exhausted}");
    // Who may only go to one host is tried there, and not counted.
    arguments["filter_properties"]["force_hosts"] = json!(["host-1"]);
    let answer = build("1.5", arguments, old_choice);
    assert_eq!(parsed(&answer.casts[0])["filter_properties"].get("limits"), None);
}

#[test]
fn instances_must_be_named_and_different() {
    let message = |instances| {
        let mut arguments = old();
        arguments["instances"] = instances;
        refusal(arguments).message().to_owned()
    };
    assert_eq!(message(json!([])), "argument 'instances' must have at least one instance");
    assert_eq!(message(json!([{"uuid": "a"}, {"uuid": ""}])), "argument 'instances[1]' has no uuid");
    assert_eq!(
        message(json!([{"uuid": "a"}, {"nova_object.data": {"uuid": "a"}}])),
        "argument 'instances' has a twice"
    );
    assert_eq!(message(json!([{"id": 1}])), "argument 'instances[0]' has no uuid");
    assert_eq!(
        message(json!({"uuid": "a"})),
        "Conductor.build_instances() argument 'instances' must be a list, not an object"
    );
}

#[test]
fn a_wrong_password_is_refused_without_being_repeated() {
    let mut arguments = old();
    arguments["admin_password"] = json!(["secret-password"]);
    let failure = refusal(arguments);
    assert_eq!(failure.message(), "Conductor.build_instances() argument 'admin_password' must be a string, not a list");
    assert!(!format!("{failure:?}").contains("secret"));
}

#[test]
fn arguments_that_nova_does_not_know_are_refused() {
    let mut arguments = old();
    arguments["request_specs"] = json!([]);
    assert_eq!(
        refusal(arguments).message(),
        "Conductor.build_instances() got an unexpected keyword argument 'request_specs'"
    );
    assert!(refusal(json!({"instances": []})).message().contains("missing 6 required positional arguments: 'image',"));
}
