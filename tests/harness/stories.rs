//! The harness's own stories: that the broker, the client and the server are what the others take them for.

use std::time::Duration;

use serde_json::json;

use super::{Broker, OsloClient, OsloServer, Queue, eventually};

#[test]
fn an_oslo_client_calls_an_oslo_server() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());

    let sum = client.call(json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}}));
    assert_eq!(sum.expect("an answer"), 3);
    vhost.wait_for_consumer("conductor.python-1");

    let failure = client.call(json!({"topic": "conductor", "method": "fail", "args": {"message": "no"}}));
    let failure = failure.expect_err("it fails");
    assert_eq!((failure.class.as_str(), failure.module.as_str()), ("ValueError", "builtins"));

    let failure = client.call(json!({"topic": "conductor", "method": "missing"})).expect_err("no such method");
    let remote = failure.remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "NoSuchMethod");
    assert_eq!(remote.value, "Endpoint does not support RPC method missing");
}

#[test]
fn many_calls_are_outstanding_at_once() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let sleep = json!({"topic": "conductor", "method": "sleep", "args": {"seconds": 0.5}});

    let calls: Vec<_> = (0..20).map(|_| client.start_call(sleep.clone())).collect();

    for call in calls {
        let answer = call.wait();
        assert_eq!(answer.outcome.expect("an answer"), 0.5);
        assert!(answer.took < Duration::from_secs(8), "the calls waited for each other");
    }
}

#[test]
fn a_cast_to_nobody_waits_in_its_queue() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("nova", "topic");
    vhost.declare_queue("conductor", &json!({}));
    vhost.bind("nova", "conductor", "conductor");
    let properties = json!({"content_type": "application/json", "headers": {"compression": "x"}});

    assert!(vhost.publish("nova", "conductor", &properties, b"\xff\x00"));
    assert!(!vhost.publish("nova", "elsewhere", &json!({}), b""));

    let queue = vhost.eventually("conductor", |queue| queue.ready == 1);
    assert_eq!(queue, Queue { ready: 1, unacknowledged: 0, consumers: 0 });
    let messages = vhost.take("conductor", 10);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body, b"\xff\x00");
    assert_eq!(messages[0].properties["headers"], json!({"compression": "x"}));
    assert_eq!((messages[0].exchange.as_str(), messages[0].redelivered), ("nova", false));
    vhost.delete_queue("conductor");
    assert_eq!(vhost.queue("conductor"), None);
}

#[test]
fn closed_connections_are_opened_again() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let closed = eventually("a connection", || Some(vhost.close_connections()).filter(|closed| *closed > 0));
    assert!(closed >= 1);
    let call = client.call(json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}}));
    assert_eq!(call.expect("an answer"), 3);
}

#[test]
fn a_broker_that_was_stopped_or_killed_keeps_its_ports_and_durable_messages() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    vhost.declare_queue("durable", &json!({}));
    assert!(vhost.publish("", "durable", &json!({"delivery_mode": 2}), b"kept"));
    let (url, pid) = (vhost.url(), broker.pid());

    broker.restart();
    assert_ne!(broker.pid(), pid);
    broker.kill();
    broker.start();

    assert_eq!(vhost.url(), url);
    assert_eq!(vhost.take("durable", 1).first().map(|message| message.body.as_slice()), Some(&b"kept"[..]));
}
