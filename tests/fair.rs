//! Fair shares: one handler, or one caller, that is flooded, and others beside it in the same queue.

mod others;

use std::fs;

use serde_json::json;

use crate::harness::{Broker, OsloClient, Scratch, Serve, Vhost, eventually, handlers};

/// The calculator, which can be kept busy for as long as a story takes, and the conductor beside it.
fn host(vhost: &Vhost, directory: &Scratch, more: &str) -> Serve {
    for name in ["calculator.wasm", "conductor.wasm", "conductor.toml"] {
        fs::copy(handlers().join(name), directory.path().join(name)).expect("it is built");
    }
    Serve::with_config(&format!(
        "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{}\"\nlimits.timeout = \"600s\"\n\
         max_in_flight = 8\nfair.waiting = 1024\ngrace_period = \"0s\"\nmetrics.listen = \"127.0.0.1:0\"\n{more}\n",
        vhost.url(),
        directory.path().display()
    ))
}

/// Requests that end only with their host.
fn flood(client: &OsloClient, count: usize, context: &serde_json::Value) {
    for _ in 0..count {
        let request = json!({"topic": "conductor", "method": "loop_forever", "context": context});
        client.cast(request).expect("the broker has it");
    }
}

/// Waits until as many of the calculator's requests stand in line.
fn in_line(host: &Serve, count: usize) {
    let line = format!("nova_host_requests_in_line{{handler=\"calculator\"}} {count}");
    eventually(&line, || host.metrics().lines().any(|told| told == line).then_some(()));
}

#[test]
fn a_handler_with_a_hundred_requests_that_do_not_end_leaves_its_neighbour_a_seat() {
    let (vhost, directory) = (Broker::shared().vhost(), Scratch::new());
    let mut host = host(&vhost, &directory, "");
    let client = OsloClient::start(&vhost.url());
    flood(&client, 100, &json!({}));
    let ping = json!({
        "topic": "conductor", "namespace": "baseapi", "version": "1.0", "method": "ping", "args": {"arg": "x"},
    });
    for _ in 0..20 {
        client.call(ping.clone()).expect("the neighbour answers");
    }
    in_line(&host, 92);
    let told = host.metrics();
    assert!(told.lines().any(|line| line == "nova_host_permits_free 0"), "nothing more would run: {told}");
    // What stands in line has not begun, and goes back when the host ends.
    host.stop();
    vhost.eventually("conductor", |queue| (queue.ready, queue.unacknowledged) == (100, 0));
}

#[test]
fn a_caller_that_floods_a_handler_leaves_the_others_a_seat() {
    let (vhost, directory) = (Broker::shared().vhost(), Scratch::new());
    let host = host(&vhost, &directory, "fair.by = \"project_id\"");
    let client = OsloClient::start(&vhost.url());
    flood(&client, 100, &json!({"project_id": "loud"}));
    in_line(&host, 92);
    for _ in 0..20 {
        let add = json!({
            "topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}, "context": {"project_id": "quiet"},
        });
        assert_eq!(client.call(add).expect("a sum"), 3);
    }
}

#[test]
fn without_a_setting_callers_are_told_apart_by_their_reply_queues() {
    let (vhost, directory) = (Broker::shared().vhost(), Scratch::new());
    let host = host(&vhost, &directory, "");
    let (loud, quiet) = (OsloClient::start(&vhost.url()), OsloClient::start(&vhost.url()));
    let endless = json!({"topic": "conductor", "method": "loop_forever", "timeout": 600});
    let _unanswered: Vec<_> = (0..30).map(|_| loud.start_call(endless.clone())).collect();
    in_line(&host, 22);
    for _ in 0..20 {
        let add = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}});
        assert_eq!(quiet.call(add).expect("a sum"), 3);
    }
}

#[test]
fn a_call_whose_time_is_over_while_it_stands_in_line_is_not_begun() {
    let (vhost, directory) = (Broker::shared().vhost(), Scratch::new());
    let host = host(&vhost, &directory, "");
    let client = OsloClient::start(&vhost.url());
    flood(&client, 8, &json!({}));
    eventually("eight that run", || host.metrics().contains("nova_host_permits_free 0\n").then_some(()));
    // One of them has the extra seat that there is for a caller who comes new; two wait.
    let endless = json!({"topic": "conductor", "method": "loop_forever", "timeout": 2});
    let calls: Vec<_> = (0..3).map(|_| client.start_call(endless.clone())).collect();
    for call in calls {
        call.wait().outcome.expect_err("nobody answers in two seconds");
    }
    in_line(&host, 0);
    eventually("the two that had waited", || {
        host.metrics().contains("nova_host_line_waits_total{handler=\"calculator\"} 2\n").then_some(())
    });
}
