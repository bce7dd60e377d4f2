//! How a Python service moves aside and back under load: nobody is without a server, and nothing has two.

use std::sync::Arc;

use serde_json::json;

use super::{Front, LEGACY, python, request};
use crate::harness::{Broker, LIMIT, Ledger, Load, OsloClient, OsloLoad, OsloServer, Vhost, eventually};
use crate::watch::docs::commands;

/// Requests that our own client has outstanding.
const OUTSTANDING: usize = 16;

const FRONT: &str = "[forward]\nexchange = \"nova_legacy\"\nfront = \"nova_host\"\nmethods.record = \"serve 50%\"";

/// As an administrator prepares the broker.
fn with_alternates(vhost: Vhost) -> Vhost {
    for (exchange, alternate) in [(LEGACY, "nova"), ("nova", "nova_host"), ("nova_host", LEGACY)] {
        vhost.declare_transient_exchange(exchange, "topic");
        vhost.set_alternate_exchange(exchange, alternate);
    }
    vhost
}

#[test]
fn a_live_service_is_taken_over_and_given_back_under_load() {
    let vhost = Broker::shared().vhost();
    // Both have been started with an exchange of their own. The old binding is still there, so they get everything. (To end
    // a Python server under load is another story: oslo.messaging drops what comes while it closes.)
    vhost.declare_transient_exchange(LEGACY, "topic");
    vhost.declare_transient_exchange("nova", "topic");
    vhost.set_alternate_exchange(LEGACY, "nova");
    vhost.set_alternate_exchange("nova_host", LEGACY);
    let moved = [python(&vhost, "python-1"), python(&vhost, "python-2")];
    vhost.bind("nova", "conductor", "conductor");
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&vhost.url(), OUTSTANDING, LIMIT, &ledger);
    let oslo = OsloLoad::start(&vhost.url(), 2, &ledger);
    ledger.wait_for_answers(OUTSTANDING);
    let host = Front::start(&vhost, "front", FRONT);
    let refused = host.run(&["forward", "prepare"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(8) && told.contains("rabbitmqctl set_policy"), "{told}");
    vhost.set_alternate_exchange("nova", "nova_host");
    let would = host.forward(&["prepare", "--dry-run"]);
    assert!(would.contains("would unbind queue conductor from exchange nova, key conductor"), "{would}");
    ledger.wait_for_answers(OUTSTANDING);
    assert_eq!(host.went("record", "served"), 0, "nothing has changed yet");
    let status = host.run(&["forward", "status"]);
    assert_eq!(status.status.code(), Some(8));
    for _ in 0..2 {
        let told = host.forward(&["prepare"]);
        assert!(told.contains("\nunbind queue conductor from exchange nova, key conductor\n"), "{told}");
        assert!(told.ends_with("yes  requests to topic conductor come to a Nova Host\n"), "{told}");
        host.forward(&["status"]);
        ledger.wait_for_answers(4 * OUTSTANDING);
        let told = host.forward(&["undo"]);
        assert!(told.starts_with("bind queue conductor to exchange nova, key conductor\n"), "{told}");
        ledger.wait_for_answers(OUTSTANDING);
    }
    load.finish();
    oslo.finish();
    let all = || moved.iter().map(OsloServer::log).chain([host.serve.log().into()]).collect();
    let tally = ledger.tally(all);
    tally.assert_nothing_lost();
    assert_eq!(tally.again, 0, "{tally}");
    assert!(host.went("record", "served") > 0 && host.went("record", "forwarded") > 0, "{tally}");
}

#[test]
fn every_command_of_the_guide_that_forwards_runs() {
    let vhost = Broker::shared().vhost();
    let vhost = with_alternates(vhost);
    let _python = python(&vhost, "python-1");
    let host = Front::start(&vhost, "front", FRONT);
    let commands = commands("nova-host forward");
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().skip(2).collect();
        host.forward(&words);
    }
}

#[test]
fn what_the_service_behind_sends_and_what_is_for_one_of_its_servers_arrives() {
    let vhost = Broker::shared().vhost();
    let vhost = with_alternates(vhost);
    let python_1 = python(&vhost, "python-1");
    let compute = OsloServer::start(&vhost.url(), "compute", "compute-1");
    let host = Front::start(&vhost, "front", FRONT);
    host.forward(&["prepare"]);
    let client = OsloClient::start(&vhost.url());
    // From the service behind to a compute, by the exchange that it sends to.
    let sent =
        json!({"topic": "compute", "server": "compute-1", "exchange": LEGACY, "method": "record", "args": {"n": 1}});
    assert_eq!(client.call(sent).expect("a result"), 1);
    assert!(compute.log().contains("recorded 1"));
    // To a server of the service behind, by its name.
    assert_eq!(client.call(request("record", &json!({"server": "python-1", "args": {"n": 2}}))).expect("a result"), 2);
    assert!(python_1.log().contains("recorded 2"));
    // To nobody: as before.
    let nobody = json!({"topic": "nobody", "method": "x", "timeout": 2, "at_least_once": true});
    assert_eq!(client.call(nobody).unwrap_err().class, "MessageUndeliverable");
}

#[test]
fn a_python_server_that_starts_with_its_old_exchange_is_noticed_and_doubles_nothing() {
    let vhost = Broker::shared().vhost();
    let vhost = with_alternates(vhost);
    let moved = python(&vhost, "python-1");
    let mut host = Front::start(&vhost, "front", &format!("metrics.listen = \"127.0.0.1:0\"\n{FRONT}"));
    host.forward(&["prepare"]);
    host.serve.wait_for_log("requests come to this service");
    assert!(host.serve.metrics().contains("nova_host_forward_front{topic=\"conductor\"} 1"));
    let stray = OsloServer::start(&vhost.url(), "conductor", "python-2");
    let client = OsloClient::start(&vhost.url());
    for number in 0..20 {
        assert_eq!(client.call(request("record", &json!({"args": {"n": number}}))).expect("a result"), number);
    }
    let logs = [moved.log(), stray.log(), host.serve.log().into()].concat();
    assert_eq!(logs.matches("recorded ").count(), 20, "each ran once");
    let status = host.run(&["forward", "status"]);
    let told = String::from_utf8_lossy(&status.stderr);
    assert!(status.status.code() == Some(8) && told.contains("started with its old control_exchange"), "{told}");
    host.serve.wait_for_log("the service behind answers callers itself again");
    assert!(host.serve.metrics().contains("nova_host_forward_front{topic=\"conductor\"} 0"));
}

#[test]
fn a_service_behind_that_rests_keeps_nobody_from_an_answer() {
    let vhost = with_alternates(Broker::shared().vhost());
    let python = python(&vhost, "python-1");
    let host = Front::start(
        &vhost,
        "front",
        "max_in_flight = 4\n[forward]\nexchange = \"nova_legacy\"\nfront = \"nova_host\"",
    );
    host.forward(&["prepare"]);
    let client = OsloClient::start(&vhost.url());
    let asked = |number: u64| {
        request("sleep", &json!({"args": {"seconds": 0}, "context": {"request_id": format!("r{number}")}}))
    };
    assert_eq!(client.call(asked(0)).expect("a result"), 0);
    // What is forwarded has no queue there, and comes back by the alternate exchanges.
    vhost.unbind(LEGACY, "conductor", "conductor");
    let waiting: Vec<_> = (1..=8).map(|number| client.start_call(asked(number))).collect();
    eventually("them to come back", || (host.went("sleep", "forwarded") >= 4).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(waiting.iter().all(|call| call.poll().is_none()), "nobody is told anything yet");
    vhost.bind(LEGACY, "conductor", "conductor");
    for call in waiting {
        assert_eq!(call.wait().outcome.expect("a result"), 0);
    }
    assert_eq!(host.went("sleep", "forwarded"), 9, "each is counted once");
    drop(python);
}

#[test]
fn a_request_for_a_name_that_both_have_runs_once() {
    let vhost = with_alternates(Broker::shared().vhost());
    let python = python(&vhost, "box");
    let host = Front::start(
        &vhost,
        "box",
        "[forward]\nexchange = \"nova_legacy\"\nfront = \"nova_host\"\nmethods.record = \"forward\"",
    );
    host.forward(&["prepare"]);
    let client = OsloClient::start(&vhost.url());
    for number in 1..=6 {
        let directed = request("record", &json!({"server": "box", "args": {"n": number}}));
        assert_eq!(client.call(directed).expect("a result"), number);
    }
    let logs = [python.log(), host.serve.log().into()].concat();
    assert_eq!(logs.matches("recorded ").count(), 6, "{logs}");
}
