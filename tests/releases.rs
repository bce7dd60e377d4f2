//! What the releases of RabbitMQ differ in, as far as a service and its callers notice.
//!
//! Every story here runs on every release, and says where they differ what is so on which.

use serde_json::json;

use crate::harness::{Broker, OsloClient, PATIENCE, Serve, Vhost, handlers};
use crate::oslo::serve;

/// Options with which all queues are durable.
const DURABLE: &str = "amqp_durable_queues=true&rabbit_transient_quorum_queue=true";

fn call_add(url: &str) {
    let sum = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}, "timeout": 60});
    assert_eq!(OsloClient::start(url).call(sum).expect("a result"), 3);
}

fn with_options(vhost: &Vhost, options: &str) -> (Serve, String) {
    let url = format!("{}?{options}", vhost.url());
    let directory = handlers().display().to_string();
    (Serve::unready(["--transport-url", &url, "--handlers", &directory]), url)
}

#[test]
fn a_broker_that_denies_transient_queues_is_served_with_durable_ones_and_without_the_service_says_what_to_set() {
    // Older ones do not know the line.
    if !Broker::shared().is_at_least(4, 0) {
        eprintln!("this RabbitMQ denies nothing: nothing to see");
        return;
    }
    let line = "deprecated_features.permit.transient_nonexcl_queues";
    let denying = Broker::configured(&format!("{line} = false"));
    let vhost = denying.vhost();
    let (mut host, _) = with_options(&vhost, "");
    let code = host.wait(PATIENCE).and_then(|status| status.code());
    let log = host.log();
    let last = log.lines().last().unwrap_or_default();
    assert_eq!(code, Some(4), "{log}");
    for text in ["rabbit_transient_quorum_queue = true", &format!("{line} = true")] {
        assert!(last.contains(text), "{last}");
    }
    let (mut host, url) = with_options(&vhost, DURABLE);
    host.wait_for_log("serving");
    call_add(&url);
    drop((host, denying));

    let permitting = Broker::configured(&format!("{line} = true"));
    let vhost = permitting.vhost();
    let (mut host, url) = with_options(&vhost, "");
    host.wait_for_log("serving");
    call_add(&url);
}

#[test]
fn what_a_service_gives_back_counts_as_an_attempt_before_rabbitmq_4_3_and_not_since() {
    let vhost = Broker::shared().vhost();
    let slow = "log = \"debug\"\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"\n\
                rabbit.rabbit_quorum_queue = true\ndelivery.max_attempts = 2";
    assert!(serve(&vhost, "host-0", slow).stop().success());
    let client = OsloClient::start(&format!("{}?rabbit_quorum_queue=true", vhost.url()));
    let call = client.start_call(json!({"topic": "conductor", "method": "loop_forever", "args": {}, "timeout": 60}));
    for attempt in 1..=2 {
        let mut host = serve(&vhost, &format!("host-{attempt}"), slow);
        vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
        host.stop();
        vhost.eventually("conductor", |queue| queue.ready == 1 && queue.unacknowledged == 0);
    }
    let last = slow.replace("600s", "200ms");
    let _host = serve(&vhost, "host-3", &last);
    let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
    let expected = if Broker::shared().is_at_least(4, 3) { "HandlerTimedOut" } else { "AttemptsExhausted" };
    assert_eq!(remote.exc_type, expected);
}
