//! What Prometheus reads from a service that has worked.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Broker, OsloClient, PATIENCE, Serve, eventually};
use crate::oslo::serve;

/// Asks a service for its metrics; the answer as it came.
pub(crate) fn metrics(host: &mut Serve) -> String {
    host.wait_for_log("metrics are at /metrics");
    let log = host.log();
    let address = log.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let mut stream = TcpStream::connect(address).expect("the service listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: nova\r\n\r\n").expect("the service reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the service answers");
    answer
}

#[test]
fn prometheus_learns_of_requests_faults_and_limits() {
    let vhost = Broker::shared().vhost();
    let mut host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"\nlimits.timeout = \"2s\"");
    let client = OsloClient::start(&vhost.url());
    let call = |method: &str, args| client.call(json!({"topic": "conductor", "method": method, "args": args}));
    call("add", json!({"a": 1, "b": 2})).expect("a result");
    call("loop_forever", json!({})).expect_err("a timeout");
    // A name that nobody offers makes no series.
    call("no_such_method_of_mine", json!({})).expect_err("no such method");

    eventually("an idle service", || metrics(&mut host).contains("nova_host_deliveries_in_flight 0\n").then_some(()));
    let text = metrics(&mut host);
    for line in [
        r#"nova_host_requests_total{handler="calculator",outcome="replied"} 1"#,
        r#"nova_host_requests_total{handler="calculator",outcome="timed_out"} 1"#,
        r#"nova_host_requests_total{handler="",outcome="refused"} 1"#,
        r#"nova_host_limit_hits_total{handler="calculator",limit="timeout"} 1"#,
        r#"nova_host_requests_running{handler="calculator"} 0"#,
        r#"nova_host_generations_loaded_total{handler="conductor"} 1"#,
    ] {
        assert!(text.lines().any(|written| written == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("no_such_method_of_mine"));
}
