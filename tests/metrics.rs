//! What Prometheus reads from a service that has worked.

use serde_json::json;

use crate::harness::{Broker, OsloClient, eventually};
use crate::oslo::serve;

#[test]
fn prometheus_learns_of_requests_faults_and_limits() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"\nlimits.timeout = \"2s\"");
    let client = OsloClient::start(&vhost.url());
    let call = |method: &str, args| client.call(json!({"topic": "conductor", "method": method, "args": args}));
    call("add", json!({"a": 1, "b": 2})).expect("a result");
    call("loop_forever", json!({})).expect_err("a timeout");
    // A name that nobody offers makes no series.
    call("no_such_method_of_mine", json!({})).expect_err("no such method");

    eventually("an idle service", || host.metrics().contains("nova_host_deliveries_in_flight 0\n").then_some(()));
    let text = host.metrics();
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
