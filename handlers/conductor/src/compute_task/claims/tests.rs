//! Builds that are tried again, with placement in between.

use std::{cell::RefCell, rc::Rc};

use nova_guest::{http, testing};

use super::*;
use crate::Conductor;
use crate::compute_task::tests;

const INSTANCE: &str = "00000000-0000-0000-0000-000000000011";

/// What was asked of placement: method, URL, headers and body.
type Asked = Rc<RefCell<Vec<http::Request>>>;

/// A second try with two hosts left; placement answers in turn.
fn again(arguments: Value, answers: Vec<Result<(u16, Value), Error>>) -> (testing::Answer, Vec<http::Request>) {
    let asked = Asked::default();
    let (noted, mut answers) = (Rc::clone(&asked), answers.into_iter());
    let answer = testing::Request::new("build_instances", arguments)
        .namespace("compute_task")
        .version("1.19")
        .context(json!({"request_id": "req-1", "user_id": "u-admin"}))
        .config("placement", "http://placement:8778/")
        .config("placement_token", "secret-token")
        .cast()
        .answering(|_| panic!("the scheduler is not asked"))
        .fetching(move |request| {
            noted.borrow_mut().push(request.clone());
            let (status, body) = answers.next().unwrap()?;
            Ok(Response::new(status, body.to_string()))
        })
        .send::<Conductor>();
    let asked = asked.take();
    (answer, asked)
}

fn arguments() -> Value {
    let mut arguments = tests::modern();
    arguments["host_lists"] = tests::recorded("result", None)["result"].clone();
    arguments["instances"][0]["nova_object.data"]["uuid"] = INSTANCE.into();
    arguments
}

fn nothing() -> Result<(u16, Value), Error> {
    Ok((200, json!({"allocations": {}})))
}

fn refused(code: &str, detail: &str) -> Result<(u16, Value), Error> {
    Ok((409, json!({"errors": [{"status": 409, "code": code, "detail": detail}]})))
}

fn hosts(answer: &testing::Answer) -> Vec<Option<&str>> {
    answer.casts.iter().map(|cast| cast.target.server.as_deref()).collect()
}

#[test]
fn the_next_host_gets_the_instance_when_placement_gave_its_resources() {
    let (answer, asked) = again(arguments(), vec![nothing(), Ok((204, Value::Null))]);
    assert_eq!(hosts(&answer), [Some("host1")]);
    let [read, put] = asked.as_slice() else { panic!("{asked:?}") };
    let url = format!("http://placement:8778/allocations/{INSTANCE}");
    assert_eq!((read.method.as_str(), read.url.as_str()), ("GET", url.as_str()));
    assert_eq!((put.method.as_str(), put.url.as_str()), ("PUT", url.as_str()));
    let header = |name: &str| put.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    assert_eq!(header("openstack-api-version"), Some("placement 1.36"));
    assert_eq!((header("x-auth-token"), header("x-openstack-request-id")), (Some("secret-token"), Some("req-1")));
    let resources = json!({"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20});
    assert_eq!(
        serde_json::from_slice::<Value>(&put.body).unwrap(),
        json!({
            "allocations": {"00000000-0000-0000-0000-000000000055": {"resources": resources}},
            "project_id": "p-5678", "user_id": "u-1234", "consumer_generation": null,
        })
    );
}

#[test]
fn a_host_without_the_resources_is_passed_over() {
    let full = refused("placement.undefined_code", "Unable to allocate inventory");
    let (answer, asked) = again(arguments(), vec![nothing(), full, nothing(), Ok((204, Value::Null))]);
    assert_eq!((hosts(&answer), asked.len()), (vec![Some("host2")], 4));
    let told: Value = serde_json::from_str(&answer.casts[0].arguments).unwrap();
    assert_eq!(told["host_list"], json!([]));
}

#[test]
fn where_no_host_is_left_the_instance_has_been_tried_too_often() {
    let down = || Err(Error::Unavailable("nobody is there".to_owned()));
    let (answer, asked) = again(arguments(), vec![down(), nothing(), down()]);
    assert_eq!((answer.casts.len(), asked.len()), (0, 3));
    assert_eq!(answer.value().unwrap_err().class(), "MaxRetriesExceeded");
}

#[test]
fn the_service_behind_gets_what_no_host_is_left_for() {
    let mut exhausted = arguments();
    exhausted["host_lists"] = json!([[]]);
    let request = || testing::Request::new("build_instances", &exhausted).namespace("compute_task").version("1.19");
    assert!(!request().send::<Conductor>().is_declined());
    assert!(request().config("leave_exhausted", "true").send::<Conductor>().is_declined());
}

#[test]
fn a_claim_is_made_again_where_another_came_at_once_and_not_for_ever() {
    let raced = || refused("placement.concurrent_update", "resource provider generation conflict");
    let (answer, asked) = again(arguments(), vec![nothing(), raced(), nothing(), Ok((204, Value::Null))]);
    assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 4));
    let (answer, asked) = again(arguments(), (0..8).flat_map(|_| [nothing(), raced()]).collect());
    assert_eq!((answer.casts.len(), asked.len()), (0, 16));
}

#[test]
fn resources_that_somebody_else_changes_end_the_request() {
    let changed = refused("placement.concurrent_update", "consumer generation conflict - expected null but got 1");
    let other = json!({"allocations": {"another": {"resources": {"VCPU": 1}}}});
    for answers in [vec![nothing(), changed], vec![Ok((200, other))]] {
        let failure = again(arguments(), answers).0.value().unwrap_err();
        assert_eq!((failure.module(), failure.class()), ("nova.exception", "AllocationUpdateFailed"));
    }
}

#[test]
fn a_request_that_runs_again_has_its_resources_already() {
    let resources = json!({"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20});
    let held = json!({"allocations": {
        "00000000-0000-0000-0000-000000000055": {"generation": 3, "resources": resources},
    }, "consumer_generation": 1});
    let (answer, asked) = again(arguments(), vec![Ok((200, held))]);
    assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 1));
}

#[test]
fn servers_that_need_more_than_is_known_here_are_left_to_others() {
    for (name, value) in [
        ("requested_resources", json!([{"nova_object.data": {}}])),
        ("is_bfv", json!(true)),
        ("flavor", json!({"nova_object.data": {"swap": 512}})),
        ("flavor", json!({"nova_object.data": {"ephemeral_gb": 1}})),
        ("flavor", json!({"nova_object.data": {"extra_specs": {"accel:device_profile": "gpu"}}})),
    ] {
        let mut arguments = arguments();
        arguments["request_spec"]["nova_object.data"][name] = value;
        let (answer, asked) = again(arguments, vec![]);
        assert!(answer.is_declined() && asked.is_empty(), "{name}");
    }
}

#[test]
fn a_scheduler_without_placement_leaves_nothing_to_claim() {
    let mut arguments = arguments();
    arguments["host_lists"][0][0]["nova_object.data"]["allocation_request"] = Value::Null;
    let (answer, asked) = again(arguments, vec![]);
    assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 0));
}

#[test]
fn a_name_that_would_lead_elsewhere_is_refused() {
    let mut arguments = arguments();
    arguments["instances"][0]["nova_object.data"]["uuid"] = "../resource_providers".into();
    let (answer, asked) = again(arguments, vec![]);
    assert!(asked.is_empty());
    assert_eq!(answer.value().unwrap_err().class(), "ValueError");
}
