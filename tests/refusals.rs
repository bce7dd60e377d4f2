//! What the broker refuses, what it is silent about, and who does not notice.
//!
//! In each story something is ill: a queue that is full, one that does not confirm, an exchange that is forbidden, a
//! message that is too large. What it is for is told so; all others are answered as ever.

mod others;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, Scratch, Serve, Vhost, eventually, guests, handlers, nova_host};

/// A host at the virtual host, with more lines of configuration, that shows its counters.
fn host(url: &str, more: &str) -> Serve {
    let handlers = handlers();
    Serve::with_config(&format!(
        "transport_url = \"{url}\"\nserver = \"host-1\"\nmetrics.listen = \"127.0.0.1:0\"\n\
         handlers.directory = \"{}\"\n{more}\n",
        handlers.display()
    ))
}

/// The value of a counter, by its name and labels as Prometheus writes them.
fn counted(host: &Serve, name: &str) -> u64 {
    let text = host.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn wait_until_counted(host: &Serve, name: &str, least: u64) {
    eventually(&format!("{name} {least} in\n{}", host.metrics()), || (counted(host, name) >= least).then_some(()));
}

/// A call as it lies in a queue, whose reply goes where it says.
fn call(method: &str, args: &Value, reply_queue: &str) -> Vec<u8> {
    json!({"method": method, "args": args, "_msg_id": "i", "_reply_q": reply_queue, "_timeout": null})
        .to_string()
        .into_bytes()
}

fn json_type() -> Value {
    json!({"content_type": "application/json", "content_encoding": "utf-8"})
}

/// A queue that has all that it will take, and rejects the rest.
fn declare_full(vhost: &Vhost, queue: &str) {
    vhost.declare_queue(queue, &json!({"x-max-length": 1, "x-overflow": "reject-publish"}));
    assert!(vhost.publish("", queue, &json!({}), b"the one that fills it"));
}

/// Calls `add` so often, one after the other; the slowest answer.
fn answered(client: &OsloClient, times: usize) -> Duration {
    let call = |n| {
        let started = Instant::now();
        let sum = client.call(json!({"topic": "conductor", "method": "add", "args": {"a": n, "b": 1}}));
        assert_eq!(sum.expect("it is answered"), n + 1);
        started.elapsed()
    };
    (0..times).map(call).max().unwrap_or_default()
}

/// How many lines of the log name something.
fn lines_with(host: &Serve, text: &str) -> usize {
    host.log().lines().filter(|line| line.contains(text)).count()
}

fn is_idle(vhost: &Vhost, queue: &str) {
    vhost.eventually(queue, |queue| queue.ready == 0 && queue.unacknowledged == 0);
}

#[test]
fn a_message_that_wants_its_answer_in_the_services_own_queue_gets_none() {
    let vhost = Broker::shared().vhost();
    let host = host(&vhost.url(), "");
    let own = "it is a reply and no request";
    for queue in ["conductor", "conductor.host-1"] {
        vhost.publish("nova", "conductor", &json_type(), &call("x", &json!({}), queue));
        // As the oldest clients wrote it, who named no queue.
        let folsom = json!({"method": "x", "args": {}, "_msg_id": queue}).to_string();
        vhost.publish("nova", "conductor", &json_type(), folsom.as_bytes());
        let reply = json!({"result": null, "failure": null, "ending": true, "_msg_id": queue}).to_string();
        vhost.publish("nova", queue, &json_type(), reply.as_bytes());
    }
    wait_until_counted(&host, "nova_host_deliveries_rejected_total", 4);
    is_idle(&vhost, "conductor");
    is_idle(&vhost, "conductor.host-1");
    assert_eq!(
        (lines_with(&host, own), lines_with(&host, "is one that this service serves")),
        (2, 2),
        "{}",
        host.log()
    );
    answered(&OsloClient::start(&vhost.url()), 1);
}

#[test]
fn two_services_do_not_answer_each_other_for_ever() {
    let vhost = Broker::shared().vhost();
    let [one, other] = ["one", "other"].map(|topic| host(&vhost.url(), &format!("topic = \"{topic}\"")));
    vhost.publish("nova", "one", &json_type(), &call("x", &json!({}), "other"));
    // The failure goes to the other one, who sees what it is.
    wait_until_counted(&other, "nova_host_deliveries_rejected_total", 1);
    is_idle(&vhost, "one");
    is_idle(&vhost, "other");
    assert_eq!(counted(&one, "nova_host_deliveries_rejected_total"), 0);
}

#[test]
fn a_reply_queue_that_is_full_holds_nobody_up_and_is_said_once() {
    let vhost = Broker::shared().vhost();
    let host = host(
        &format!("{}?kombu_missing_consumer_retry_timeout=3", vhost.url()),
        "max_in_flight = 4\ndelivery.dead_letter_exchange = \"amq.fanout\"",
    );
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("amq.fanout", "letters", "");
    declare_full(&vhost, "full");
    for n in 0..200 {
        vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": n, "b": 1}), "full"));
    }
    answered(&OsloClient::start(&vhost.url()), 50);
    wait_until_counted(&host, "nova_host_replies_total{fate=\"dropped\"}", 200);
    is_idle(&vhost, "conductor");
    let log = host.log();
    let changes = log.lines().filter(|line| line.contains("=full ") || line.contains("=\"full\"")).count();
    // How often its patience is over meanwhile is the machine's affair.
    assert!((2..=40).contains(&changes), "a line for each change, and none for each message:\n{log}");
    // Nobody was told, so they lie where somebody may look.
    vhost.eventually("letters", |queue| queue.ready == 200);
    let letter = vhost.take("letters", 1).pop().expect("there are");
    assert_eq!(letter.properties["headers"]["x-dead-outcome"], "unanswered");
}

#[test]
fn a_reply_queue_that_was_full_gets_its_replies_when_there_is_room() {
    let vhost = Broker::shared().vhost();
    let host = host(&vhost.url(), "");
    declare_full(&vhost, "full");
    vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": 1, "b": 2}), "full"));
    eventually("it waits", || host.log().contains("it is full").then_some(()));
    assert_eq!(vhost.take("full", 1).len(), 1);
    let reply = eventually("the reply", || vhost.take("full", 1).pop());
    assert!(String::from_utf8_lossy(&reply.body).contains("result"), "{reply:?}");
    wait_until_counted(&host, "nova_host_replies_total{fate=\"late\"}", 1);
}

#[test]
fn a_dead_letter_queue_that_is_full_stops_nothing_and_is_counted() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("dead", "fanout");
    declare_full(&vhost, "letters");
    vhost.bind("dead", "letters", "");
    // What is rejected goes where the queue's own policy says.
    vhost.declare_exchange("last", "fanout");
    vhost.declare_queue("rejected", &json!({}));
    vhost.bind("last", "rejected", "");
    vhost.set_policy("last", "^conductor$", &json!({"dead-letter-exchange": "last"}));
    let host = host(
        &format!("{}?kombu_missing_consumer_retry_timeout=3", vhost.url()),
        "max_in_flight = 4\ndelivery.dead_letter_exchange = \"dead\"",
    );
    let client = OsloClient::start(&vhost.url());
    for _ in 0..100 {
        client.cast(json!({"topic": "conductor", "method": "nope", "args": {}})).expect("the broker has it");
    }
    answered(&client, 20);
    wait_until_counted(&host, "nova_host_dead_letters_refused_total", 100);
    is_idle(&vhost, "conductor");
    vhost.eventually("rejected", |queue| queue.ready == 100);
}

#[test]
fn a_broker_that_lets_nobody_be_answered_is_said_and_holds_nothing() {
    let vhost = Broker::shared().vhost();
    let name = format!("mute-{}", std::process::id());
    vhost.add_user(&name, Some("secret"));
    let everything = json!({"configure": ".*", "write": "^(nova|conductor.*)$", "read": ".*"});
    vhost.set_permissions(&name, &everything);
    let host = host(&vhost.url().replace("guest:guest", &format!("{name}:secret")), "max_in_flight = 2");
    for n in 0..20 {
        vhost.publish("nova", "conductor", &json_type(), &call("add", &json!({"a": n, "b": 1}), "somewhere"));
    }
    wait_until_counted(&host, "nova_host_replies_total{fate=\"dropped\"}", 20);
    is_idle(&vhost, "conductor");
    assert!(host.log().contains("give the user permission to write to `amq.default`"), "{}", host.log());
    vhost.delete_user(&name);
}

#[test]
fn a_message_with_large_headers_is_copied_without_what_has_no_room() {
    let vhost = Broker::shared().vhost();
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("amq.fanout", "letters", "");
    let host = host(&vhost.url(), "delivery.dead_letter_exchange = \"amq.fanout\"");
    // As large as a frame can be, so that ours have no room beside it.
    let mut properties = json_type();
    properties["headers"] = json!({"large": "x".repeat(130_900), "small": "y"});
    let body = json!({"method": "nope", "args": {}}).to_string();
    assert!(vhost.publish("nova", "conductor", &properties, body.as_bytes()));
    let letter = eventually("the dead letter", || vhost.take("letters", 1).pop());
    let headers = &letter.properties["headers"];
    assert_eq!((&headers["small"], &headers["large"]), (&json!("y"), &Value::Null));
    assert_eq!((&headers["x-nova-host-left-out"], &headers["x-dead-outcome"]), (&json!(true), &json!("refused")));
    is_idle(&vhost, "conductor");
    assert!(!host.log().contains("lost the connection"), "{}", host.log());
}

#[test]
fn a_reply_that_is_too_large_for_the_broker_becomes_a_failure_that_is_not() {
    let broker = Broker::configured("max_message_size = 100000");
    let vhost = broker.vhost();
    let host = host(&vhost.url(), "");
    let client = OsloClient::start(&vhost.url());
    for _ in 0..2 {
        let large = json!({"topic": "conductor", "method": "blob", "args": {"size": 200_000}});
        let error = client.call(large).expect_err("it is too large");
        assert_eq!(error.remote.as_ref().map(|remote| remote.exc_type.as_str()), Some("ReplyTooLarge"), "{error:?}");
        answered(&client, 1);
    }
    // The second time it is known beforehand, and no channel is lost for it.
    wait_until_counted(&host, "nova_host_replies_total{fate=\"too_large\"}", 2);
    assert!(!host.log().contains("lost the connection"), "{}", host.log());
}

#[test]
fn a_client_is_told_at_once_which_queue_is_full() {
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("nova", "topic");
    declare_full(&vhost, "full");
    vhost.bind("nova", "full", "full");
    let url = format!("{}?amqp_durable_queues=true", vhost.url());
    for retry in ["0", "-1"] {
        let mut cast = Command::new(nova_host());
        cast.args(["cast", "--transport-url", &url, "--topic", "full", "--retry", retry, "m"]);
        let output = cast.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("queue `full`") && said.contains("is full"), "--retry {retry}: {said}");
        assert_eq!(output.status.code(), Some(4), "{said}");
    }
}

/// All that the courier imports.
const GRANTS: &str = "grants.rpc = [\"conductor/*\"]\ngrants.keyvalue = true\ngrants.http = [\"http://127.0.0.1:1\"]\n";

#[test]
fn who_calls_their_own_service_does_not_wait_for_themselves() {
    for (limits, max_in_flight) in [("", 2), ("limits.concurrency = 1", 4), ("limits.concurrency = 1", 1)] {
        let vhost = Broker::shared().vhost();
        let directory = Scratch::new();
        let guest = std::fs::read(guests().join("courier.wasm")).expect("handlers/build.sh has made it");
        directory.write("courier.wasm", guest);
        directory.write("courier.toml", format!("{GRANTS}{limits}\n"));
        let path = directory.path().display();
        let _host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nhandlers.directory = \"{path}\"\nmax_in_flight = {max_in_flight}\n",
            vhost.url()
        ));
        let client = OsloClient::start(&vhost.url());
        let target = json!({"topic": "conductor", "version": "1.3"});
        let asks = |n: u32| {
            let args = json!({"target": target, "name": "divide", "arguments": {"a": 2 * n, "b": 2}});
            client.start_call(json!({"topic": "conductor", "version": "1.3", "method": "ask", "args": args}))
        };
        let outstanding: Vec<_> = (0..8).map(asks).collect();
        for (n, answer) in outstanding.iter().enumerate() {
            let answer = answer.wait().outcome;
            assert_eq!(answer.expect("all are answered").as_f64(), Some(n as f64), "{limits} {max_in_flight}");
        }
    }
}

/// A queue whose only member is on a node that is frozen confirms nothing, for as long as the others take to notice, and
/// then for as long as the node is away.
#[test]
fn a_reply_queue_that_does_not_confirm_holds_nobody_up() {
    let cluster = Broker::cluster(3);
    let vhost = cluster.vhost();
    let (here, there) = (&vhost.addresses()[0], 1);
    // Declared by way of the node that is to freeze, with no member elsewhere.
    vhost.declare_queue_at(there, "frozen", &json!({"x-queue-type": "quorum", "x-quorum-initial-group-size": 1}));
    let url = format!("{}?kombu_missing_consumer_retry_timeout=3", vhost.url_by(std::slice::from_ref(here)));
    let host = host(&url, "max_in_flight = 8");
    let client = OsloClient::start(&vhost.url_by(std::slice::from_ref(here)));
    answered(&client, 20);
    cluster.pause_node(there);
    for n in 0..100 {
        let body = call("add", &json!({"a": n, "b": 1}), "frozen");
        vhost.publish("nova", "conductor", &json_type(), &body);
    }
    answered(&client, 100);
    wait_until_counted(&host, "nova_host_replies_total{fate=\"dropped\"}", 1);
    answered(&client, 20);
    cluster.resume_node(there);
    is_idle(&vhost, "conductor");
    let log = host.log();
    let changes =
        log.lines().filter(|line| line.contains("destination=frozen") || line.contains("key=\"frozen\"")).count();
    assert!(changes < 20, "a line for each change, and none for each message:\n{log}");
}

#[test]
fn of_two_brokers_one_refuses_and_the_other_serves() {
    let vhost = Broker::shared().vhost();
    let [address, ..] = &vhost.addresses()[..] else { panic!("there is a node") };
    let path = vhost.url().rsplit_once('/').map(|(_, path)| path.to_owned()).expect("a virtual host");
    // Whichever comes first: the hosts are tried in an order of their own.
    for _ in 0..4 {
        let mut host = host(&format!("rabbit://guest:wrong@{address},guest:guest@{address}/{path}"), "");
        answered(&OsloClient::start(&vhost.url()), 1);
        assert!(host.stop().success());
    }
}

/// RabbitMQ takes back what is not acknowledged in time: it closes the channel, or since 4.3 cancels the consumer of a quorum
/// queue.
#[test]
fn a_request_that_takes_too_long_for_the_broker_is_answered_once_and_others_are_served() {
    let broker = Broker::configured("consumer_timeout = 5000");
    // How often a channel looks: once a minute, otherwise.
    broker.control("eval application:set_env(rabbit,channel_tick_interval,1000).");
    let vhost = broker.vhost();
    let options = "?rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true";
    let url = format!("{}{options}", vhost.url());
    let host = host(&url, "limits.timeout = \"20s\"");
    let client = OsloClient::start(&url);
    let slow = client.start_call(json!({"topic": "conductor", "method": "loop_forever", "args": {}}));
    eventually("the broker's word", || host.log().contains("consumer_timeout").then_some(()));
    answered(&client, 5);
    let error = slow.wait().outcome.expect_err("it never ends");
    assert!(error.text.contains("HandlerTimedOut"), "{error:?}");
    answered(&client, 5);
    is_idle(&vhost, "conductor");
    // What runs a second time ends later.
    let is_done = || (counted(&host, "nova_host_deliveries_in_flight") == 0).then_some(());
    eventually("all deliveries to be done with", is_done);
    assert_eq!(host.log().matches("outcome=\"timed_out\"").count(), 1, "{}", host.log());
    if broker.is_at_least(4, 3) {
        assert!(!host.log().contains("lost the connection"), "its channel lives: {}", host.log());
    }
}
