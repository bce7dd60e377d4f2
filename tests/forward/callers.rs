//! Callers do not see whether a request was forwarded.

use serde_json::{Value, json};

use super::{Front, LEGACY, Story, request};
use crate::harness::{Broker, OsloClient, OsloServer, Release, eventually};

/// What the caller of a request meets, as text.
fn met(client: &OsloClient, request: &Value) -> String {
    match client.call(request.clone()) {
        Ok(value) => format!("{value}"),
        Err(error) => format!(
            "{}.{} {:?} {} {}",
            error.module,
            error.class,
            error.bases,
            error.args.len(),
            first_line(&error.text)
        ),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn results_and_failures_are_those_of_the_service_behind() {
    let story = Story::begin("methods.\"*\" = \"forward\"");
    for asked in [
        request("add", &json!({"args": {"a": 1, "b": 2}})),
        request("echo", &json!({"args": {"deep": {"list": [1, null, "ü"]}, "n": 1.5}})),
        request("echo", &json!({"namespace": "compute_task", "version": "2.0", "args": {"a": "b".repeat(300_000)}})),
        request("nothing", &json!({})),
        request("fail", &json!({"args": {"message": "as asked"}})),
        request("not_found", &json!({"args": {"instance_id": "i-1"}})),
        request("no_such_method", &json!({})),
        request("add", &json!({"version": "7.0"})),
        request("add", &json!({"args": {"a": 1}})),
        request("echo", &json!({"namespace": "nobody"})),
    ] {
        let through = met(&story.client, &asked);
        let mut directly = asked.clone();
        directly["exchange"] = json!(LEGACY);
        assert_eq!(through, met(&story.client, &directly), "{asked}");
    }
    assert_eq!(story.host.went("add", "forwarded"), 3);
    assert_eq!(story.host.went("compute_task.echo", "forwarded"), 1);
}

#[test]
fn the_context_goes_on_whole() {
    let story = Story::begin("methods.context = \"forward\"");
    let context = json!({"request_id": "req-1", "auth_token": "t", "roles": ["admin"], "nested": {"a": null}});
    let result = story.client.call(request("context", &json!({"context": context}))).expect("a result");
    for (name, value) in context.as_object().expect("an object") {
        assert_eq!(&result[name], value, "{name}");
    }
}

#[test]
fn a_caller_that_wants_heartbeats_gets_them_from_the_service_behind() {
    let story = Story::begin("methods.sleep = \"forward\"");
    let sleep = request("sleep", &json!({"args": {"seconds": 5}, "timeout": 20, "call_monitor_timeout": 2}));
    assert_eq!(story.client.call(sleep).expect("a result"), 5);
}

#[test]
fn the_oldest_client_is_forwarded_too() {
    let vhost = Broker::shared().vhost();
    // Of the same age: a server of today does not answer it in words that it knows.
    let python = OsloServer::on(Release::Oldest, &vhost.url(), "conductor", "python-1", LEGACY);
    let more = format!("[forward]\nexchange = \"{LEGACY}\"\nmethods.\"*\" = \"forward\"");
    let host = Front::start(&vhost, "front", &more);
    let client = OsloClient::of(Release::Oldest, &vhost.url(), &[]);
    assert_eq!(met(&client, &request("add", &json!({"args": {"a": 1, "b": 2}}))), "3");
    let error = client.call(request("fail", &json!({"args": {"message": "as asked"}}))).unwrap_err();
    assert_eq!((error.class.as_str(), first_line(&error.text)), ("ValueError", "as asked"));
    client.cast(request("record", &json!({"args": {"n": 7}}))).expect("the broker has it");
    eventually("the cast", || python.log().contains("recorded 7").then_some(()));
    assert_eq!((host.went("add", "forwarded"), host.went("fail", "forwarded")), (1, 1));
}

#[test]
fn a_request_for_this_server_by_its_name_goes_on_and_a_fanout_reaches_each_server_once() {
    let story = Story::begin("methods.record = \"forward\"");
    let directed = request("record", &json!({"server": "front", "args": {"n": 1}}));
    assert_eq!(story.client.call(directed).expect("a result"), 1);
    let other = super::python(&story.vhost, "python-2");
    story.client.cast(request("record", &json!({"fanout": true, "args": {"n": 2}}))).expect("the broker has it");
    for server in [&story.python, &other] {
        eventually("the fanout", || server.log().contains("recorded 2").then_some(()));
    }
    story.client.call(request("record", &json!({"args": {"n": 3}}))).expect("a result");
    eventually("all of it", || (story.host.went("record", "left") == 1).then_some(()));
    let runs = [&story.python, &other].map(|server| server.log().matches("recorded 2").count());
    assert_eq!(runs, [1, 1]);
}
