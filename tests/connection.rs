//! Connections to the broker: hosts, virtual hosts, heartbeats, a broker that takes no messages, consumers that end, and
//! bytes that are no names.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Broker, OsloClient, Queue, Serve, Vhost, eventually, handlers, nova_host, repository},
    oslo::{configuration, serve},
};

fn add(n: usize) -> Value {
    json!({"topic": "conductor", "method": "add", "args": {"a": n, "b": 1}, "timeout": 60})
}

fn serve_at(url: &str) -> Serve {
    Serve::with_arguments(["--transport-url", url, "--handlers", &handlers().display().to_string()])
}

/// Runs a command of the client, and returns its exit code and what it said last.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let ran = Command::new(nova_host()).args(arguments).output().expect("it runs");
    let text = if ran.status.success() { ran.stdout } else { ran.stderr };
    (ran.status.code(), String::from_utf8_lossy(&text).lines().last().unwrap_or_default().to_owned())
}

fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn every_host_has_its_own_login_and_a_virtual_host_may_have_any_name() {
    let vhost: Vhost = Broker::shared().vhost_named("a/b c%d@ü");
    vhost.add_user("second", Some("p@ss:w%rd"));
    let path = vhost.url().rsplit_once('/').map(|(_, path)| path.to_owned()).expect("a path");
    let address = vhost.addresses().remove(0);
    // Nobody is at the first host, in whichever order they are tried.
    let url = format!("rabbit://first:hunter2@127.0.0.1:9,second:p%40ss%3Aw%25rd@{address}/{path}");
    let host = serve_at(&url);
    let url_of_oslo = format!("rabbit://second:p%40ss%3Aw%25rd@{address}/{path}");
    let client = OsloClient::start(&url_of_oslo);
    assert_eq!(client.call(add(1)).expect("a result"), 2);
    let ours = format!("nova-host:{}:", host.pid());
    let is_ours = |connection: &Value| {
        let name = connection["client_properties"]["connection_name"].as_str();
        name.is_some_and(|name| name.starts_with(&ours))
    };
    let details = eventually("our two connections", || {
        Some(vhost.connection_details()).filter(|all| all.iter().filter(|connection| is_ours(connection)).count() == 2)
    });
    assert!(details.iter().all(|connection| connection["user"] == "second"), "{details:?}");
    assert!(details.iter().any(|connection| connection["client_properties"]["product"] == "nova-host"), "{details:?}");
    assert!(!host.log().contains("hunter2") && !host.log().contains("p@ss"), "{}", host.log());
}

#[test]
fn a_broker_is_reached_by_ipv6() {
    if !has_ipv6() {
        eprintln!("no IPv6 loopback on this machine: nothing to see");
        return;
    }
    let vhost = Broker::shared().vhost();
    let url = vhost.url().replace("127.0.0.1", "[::1]");
    let host = serve_at(&url);
    assert_eq!(OsloClient::start(&vhost.url()).call(add(1)).expect("a result"), 2);
    assert!(host.log().contains("[::1]:"), "{}", host.log());
}

#[test]
fn a_frozen_broker_is_noticed_by_its_missing_heartbeats() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let mut host = serve(&vhost, "host-1", "rabbit.heartbeat_timeout_threshold = 2\nrabbit.connect_timeout = 1");
    broker.pause_node(0);
    host.wait_for_log("lost the connection to RabbitMQ that consumes");
    host.wait_for_log("no answer within 1 s");
    broker.resume_node(0);
    assert_eq!(OsloClient::start(&vhost.url()).call(add(1)).expect("a result"), 2);
}

#[test]
fn a_broker_that_takes_no_messages_loses_none_and_is_said_to() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let url = vhost.url();
    // Patient, for a busy machine takes its time: nothing here is about heartbeats or expiry.
    let patient = "rabbit.heartbeat_timeout_threshold = 600\nrabbit.kombu_missing_consumer_retry_timeout = 600";
    let mut host = serve(&vhost, "host-1", &format!("max_in_flight = 4\n{patient}"));
    let client = OsloClient::start(&url);
    assert_eq!(client.call(add(0)).expect("a result"), 1);
    // A reply comes before its request is acknowledged.
    vhost.eventually("conductor", |queue: &Queue| queue.ready + queue.unacknowledged == 0);
    // Requests that wait when the broker runs out of memory.
    host.signal("STOP");
    let patient_call = |n| {
        let mut call = add(n);
        call["timeout"] = json!(600);
        client.start_call(call)
    };
    let calls: Vec<_> = (0..20).map(patient_call).collect();
    vhost.eventually("conductor", |queue: &Queue| queue.ready + queue.unacknowledged == 20);
    broker.control("set_vm_memory_high_watermark absolute 1000");
    host.signal("CONT");
    host.wait_for_log("RabbitMQ accepts no messages for now");
    // The broker may take the first message of a connection before it stops to read from it.
    eventually("a request that the broker does not take", || {
        let (code, text) = run(&["call", "add", r#"{"a":1,"b":2}"#, "--transport-url", &url, "--timeout", "3s"]);
        assert!(code == Some(4) || text.contains("no reply to add within 3s"), "{code:?} {text}");
        text.contains("the broker did not take add within 3s: it cannot be reached, or accepts no messages")
            .then_some(())
    });
    // Requests are consumed; their replies wait.
    vhost.eventually("conductor", |queue: &Queue| queue.unacknowledged == 4 && queue.ready >= 16);
    broker.control("set_vm_memory_high_watermark absolute 1GB");
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.wait().outcome.expect("a result"), n + 1);
    }
    host.wait_for_log("RabbitMQ accepts messages again");
    assert_eq!(host.log().matches("accepts no messages for now").count(), 1, "{}", host.log());
    assert_eq!(client.call(add(1)).expect("a result"), 2);
    assert!(host.stop().success());
}

#[test]
fn a_queue_that_is_deleted_under_us_is_there_again_and_nothing_else_is_lost() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "max_in_flight = 8\nlimits.timeout = \"5s\"");
    let client = OsloClient::start(&vhost.url());
    vhost.wait_for_consumer("conductor");
    let names: Vec<String> = vhost.queues().into_keys().collect();
    // One that is under way when another queue goes.
    let slow = client.start_call(json!({"topic": "conductor", "method": "loop_forever", "timeout": 60}));
    let directed = json!({"topic": "conductor", "server": "host-1", "method": "add", "args": {"a": 1, "b": 1}});
    assert_eq!(client.call(directed.clone()).expect("a result"), 2);
    // A queue that goes within a second of being consumed costs the connection: not what this is about.
    std::thread::sleep(Duration::from_millis(1500));
    // One after the other: RabbitMQ may forget to cancel a consumer whose queue is deleted while it is declared.
    for (name, deleted) in names.iter().zip(1..) {
        vhost.delete_queue(name);
        let mended = || host.log().matches("RabbitMQ has cancelled a consumer").count() == deleted;
        eventually("a consumer again", || mended().then_some(()));
        vhost.wait_for_consumer(name);
    }
    assert_eq!(client.call(add(1)).expect("a result"), 2);
    assert_eq!(client.call(directed).expect("a result"), 2);
    let after: Vec<String> = vhost.queues().into_keys().filter(|name| !name.starts_with("reply_")).collect();
    assert_eq!(after, names);
    // On the same connection it was answered, and never delivered again.
    let remote = slow.wait().outcome.expect_err("it loops").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerTimedOut");
    assert_eq!(host.log().matches("timed_out").count(), 1, "{}", host.log());
    assert!(!host.log().contains("lost the connection"), "{}", host.log());
}

#[test]
fn bytes_that_are_no_names_and_tables_without_end_are_a_message_like_any_other() {
    let vhost = Broker::shared().vhost();
    let host = Serve::with_config(&configuration(&vhost, "host-1", ""));
    let inner = json!({"method": "log", "args": {"level": "info", "message": "<odd>"}}).to_string();
    let body = json!({"oslo.version": "2.0", "oslo.message": inner}).to_string();
    let url = vhost.url();
    let name = url.rsplit_once('/').map_or("", |(_, name)| name);
    let published = Command::new(repository().join("target/venv/bin/python"))
        .arg(repository().join("tests/oslo/odd_names.py"))
        .args([vhost.addresses().remove(0).as_str(), name, "nova", "conductor", &body])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("it runs");
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    // All but the one whose content type is odd, which is no JSON.
    eventually("the messages", || (host.log().matches("<odd>").count() == 4).then_some(()));
    eventually("the refusal", || host.log().contains("message cannot be decoded, rejected").then_some(()));
    vhost.eventually("conductor", |queue: &Queue| queue.ready == 0 && queue.unacknowledged == 0);
    assert!(!host.log().contains("lost the connection"), "{}", host.log());
    assert_eq!(OsloClient::start(&url).call(add(1)).expect("a result"), 2);
}
