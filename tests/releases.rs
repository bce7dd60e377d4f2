//! What the releases of RabbitMQ differ in, as far as a service and its callers notice.
//!
//! Every story here runs on every release, and says where they differ what is so on which.

use serde_json::json;

use crate::harness::{Broker, Message, OsloClient, PATIENCE, Serve, Vhost, eventually, handlers};
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
    // The exchange that the first one has declared is not durable; the queues are, all the same.
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
fn what_was_delivered_and_not_begun_when_a_service_stops_counts_as_an_attempt_before_rabbitmq_4_3_and_not_since() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("dead", "letters", "");
    let config = "max_in_flight = 1\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"\n\
                  rabbit.rabbit_quorum_queue = true\ndelivery.dead_letter_exchange = \"dead\"";
    let queues = ["conductor", "conductor.host-1"];
    assert!(serve(&vhost, "host-1", config).stop().success());
    // One for the topic and one for the server: each queue delivers one, and there is a permit for one.
    let client = OsloClient::start(&format!("{}?rabbit_quorum_queue=true", vhost.url()));
    for server in [json!(null), json!("host-1")] {
        let request = json!({"topic": "conductor", "server": server, "method": "loop_forever", "args": {}});
        client.cast(request).expect("the broker has it");
    }
    for _ in 0..2 {
        let mut host = serve(&vhost, "host-1", config);
        for queue in queues {
            vhost.eventually(queue, |queue| queue.unacknowledged == 1);
        }
        host.stop();
        for queue in queues {
            vhost.eventually(queue, |queue| queue.ready == 1);
        }
    }
    let _host = serve(&vhost, "host-1", &config.replace("600s", "200ms"));
    let letter = || eventually("a dead letter", || vhost.take("letters", 1).pop());
    let attempts: u64 = [letter(), letter()].iter().map(attempts).sum();
    // Two by the last host, two that the others had begun; and the two that these had not.
    assert_eq!(attempts, if Broker::shared().is_at_least(4, 3) { 4 } else { 6 });
}

fn attempts(letter: &Message) -> u64 {
    letter.properties["headers"]["x-dead-attempts"].as_u64().unwrap_or_default()
}
