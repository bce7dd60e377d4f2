//! Where the service behind is not there, is ourselves, or leads back.

use serde_json::json;

use super::{Front, LEGACY, request};
use crate::harness::{Broker, OsloClient, Proxy, eventually};

#[test]
fn without_a_service_behind_a_caller_is_told_and_a_cast_is_a_dead_letter() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "topic");
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("dead", "letters", "#");
    let more = format!("[forward]\nexchange = \"{LEGACY}\"\n[delivery]\ndead_letter_exchange = \"dead\"");
    let host = Front::start(&vhost, "front", &more);
    let client = OsloClient::start(&vhost.url());
    // No exchange, and then an exchange without a queue.
    for (number, expected) in [(1, "it has no queue there"), (2, "it has no queue there")] {
        let error = client.call(request("vanish", &json!({"args": {"n": number}, "timeout": 60}))).unwrap_err();
        let remote = error.remote.expect("a remote error");
        assert_eq!(remote.exc_type, "FallbackUnavailable");
        let text = remote.value.as_str().expect("text").to_owned();
        assert!(text.contains("exchange nova_legacy, key conductor") && text.contains(expected), "{text}");
        client.cast(request("vanish", &json!({"args": {"n": number}}))).expect("the broker has it");
        vhost.eventually("letters", |queue| queue.ready == number);
        vhost.declare_transient_exchange(LEGACY, "topic");
    }
    let letter = vhost.take("letters", 1).remove(0);
    assert_eq!(letter.properties["headers"]["x-dead-outcome"], "unforwarded");
    assert!(host.went("vanish", "failed") == 4, "{}", host.forward(&["list"]));
}

#[test]
fn two_hosts_that_forward_to_each_other_end_at_once() {
    let vhost = Broker::shared().vhost();
    let _a = Front::start(&vhost, "a", "[forward]\nexchange = \"other\"\nqueue_prefix = \"a.\"");
    let more = "control_exchange = \"other\"\n[forward]\nexchange = \"nova\"\nqueue_prefix = \"b.\"";
    let _b = Front::start(&vhost, "b", more);
    let client = OsloClient::start(&vhost.url());
    let error = client.call(request("nobody_has_it", &json!({}))).unwrap_err();
    let text = error.remote.expect("a remote error").value.to_string();
    assert!(text.contains("it was forwarded already, by a"), "{text}");
    // What one of them serves is served.
    assert_eq!(client.call(request("add", &json!({"args": {"a": 1, "b": 2}}))).expect("a result"), 3);
}

#[test]
fn a_service_behind_that_has_gone_keeps_its_requests_until_it_is_back() {
    let vhost = Broker::shared().vhost();
    let mut python = super::python(&vhost, "python-1");
    let more = format!("metrics.listen = \"127.0.0.1:0\"\n[forward]\nexchange = \"{LEGACY}\"");
    let mut host = Front::start(&vhost, "front", &more);
    let client = OsloClient::start(&vhost.url());
    python.kill();
    let waiting = client.start_call(request("sleep", &json!({"args": {"seconds": 0}, "timeout": 120})));
    vhost.eventually("conductor", |queue| queue.ready == 1);
    host.serve.wait_for_log("nobody consumes the queue of the service behind");
    let metrics = host.serve.metrics();
    assert!(metrics.contains("nova_host_forward_queue_consumers{queue=\"conductor\"} 0"), "{metrics}");
    let back = super::python(&vhost, "python-1");
    assert_eq!(waiting.wait().outcome.expect("a result"), 0);
    drop(back);
}

#[test]
fn what_waits_for_a_service_behind_and_is_delivered_to_another_host_goes_on_once() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange(LEGACY, "topic");
    let proxy = Proxy::start(&vhost.addresses()[0]);
    let more = format!("[forward]\nexchange = \"{LEGACY}\"");
    let by_proxy = vhost.url_by(&[proxy.address().to_owned()]);
    let mut first = Front::start_by(&by_proxy, "first", &more);
    let client = OsloClient::start(&vhost.url());
    client.cast(request("vanish", &json!({"args": {"n": 1}}))).expect("the broker has it");
    first.serve.wait_for_log("messages for a queue wait");
    let mut second = Front::start(&vhost, "second", &more);
    proxy.refuse(true);
    proxy.cut();
    second.serve.wait_for_log("messages for a queue wait");
    vhost.declare_queue("conductor", &json!({}));
    vhost.bind(LEGACY, "conductor", "conductor");
    vhost.eventually("conductor", |queue| queue.ready == 1);
    // The first host finds that nothing is left for it to send, or sends it, as soon as it can.
    proxy.refuse(false);
    first.serve.wait_for_log("nothing waits for the queue any more");
    assert_eq!(vhost.take("conductor", 10).len(), 1);
    assert_eq!((first.went("vanish", "forwarded"), second.went("vanish", "forwarded")), (0, 1));
}

#[test]
fn a_request_whose_time_is_over_expires_behind_as_it_would_have_before() {
    let vhost = Broker::shared().vhost();
    let mut python = super::python(&vhost, "python-1");
    let host = Front::start(&vhost, "front", &format!("[forward]\nexchange = \"{LEGACY}\""));
    let client = OsloClient::start(&vhost.url());
    python.kill();
    let error = client.call(request("sleep", &json!({"args": {"seconds": 0}, "timeout": 2}))).unwrap_err();
    assert_eq!(error.class, "MessagingTimeout");
    assert_eq!(host.went("sleep", "forwarded"), 1);
    eventually("it to expire", || vhost.queue("conductor").is_some_and(|queue| queue.ready == 0).then_some(()));
}
