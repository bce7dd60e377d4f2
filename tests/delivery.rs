//! What is promised about a request: policies, attempts, dead letters, and stopping without loss.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Broker, Message, OsloClient, PATIENCE, Proxy, Queue, Scratch, Serve, Vhost, Way, eventually, handlers},
    oslo::{configuration, serve},
};

/// Requests that outlast any test, and hosts that say what they did.
const SLOW: &str = "log = \"debug\"\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"";

fn cast(method: &str, args: Value) -> Value {
    json!({"topic": "conductor", "method": method, "args": args})
}

fn is_empty(queue: &Queue) -> bool {
    queue.ready == 0 && queue.unacknowledged == 0
}

/// Declares where dead letters go: the exchange `dead`, and its queue `letters`.
fn declare_dead_letters(vhost: &Vhost) {
    vhost.declare_exchange("dead", "fanout");
    vhost.declare_queue("letters", &json!({}));
    vhost.bind("dead", "letters", "");
}

fn letter(vhost: &Vhost) -> Message {
    eventually("a dead letter", || vhost.take("letters", 1).pop())
}

fn header<'a>(letter: &'a Message, name: &str) -> &'a Value {
    &letter.properties["headers"][format!("x-dead-{name}")]
}

/// How many requests came to an end with this outcome.
fn handled(log: &str, outcome: &str) -> usize {
    log.lines().filter(|line| line.contains("handled") && line.contains(&format!("outcome=\"{outcome}\""))).count()
}

#[test]
fn at_most_once_is_acknowledged_when_it_starts_and_goes_with_its_host() {
    let vhost = Broker::shared().vhost();
    let mut first = serve(&vhost, "host-1", &format!("{SLOW}\ndelivery.policy = \"at-most-once\"\nmax_in_flight = 2"));
    let client = OsloClient::start(&vhost.url());
    for _ in 0..4 {
        client.cast(cast("loop_forever", json!({}))).expect("the broker has it");
    }
    // Two run and are acknowledged. The others wait, unacknowledged or in their queue.
    vhost.eventually("conductor", |queue| queue.ready + queue.unacknowledged == 2);
    first.kill();
    vhost.eventually("conductor", |queue| queue.ready == 2 && queue.unacknowledged == 0);
}

#[test]
fn at_most_once_does_not_start_before_the_broker_has_its_acknowledgement() {
    let vhost = Broker::shared().vhost();
    let proxy = Proxy::start(&vhost.addresses()[0]);
    let host = |url: &str| {
        let handlers = handlers();
        Serve::with_config(&format!(
            "transport_url = \"{url}\"\nhandlers.directory = \"{}\"\ndelivery.policy = \"at-most-once\"\n",
            handlers.display()
        ))
    };
    let mut first = host(&vhost.url_by(&[proxy.address().to_owned()]));
    let client = OsloClient::start(&vhost.url());
    // What the host writes from now on is on its way for ever.
    proxy.hold(Way::There);
    client.cast(cast("record", json!({"n": 7}))).expect("the broker has it");
    vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
    // Time for a handler to run that should not: less would only let a mistake go by.
    std::thread::sleep(Duration::from_millis(300));
    first.kill();
    proxy.cut();
    let mut second = host(&vhost.url());
    second.wait_for_log("recorded 7");
    assert!(!first.log().contains("recorded 7"), "{}", first.log());
}

#[test]
fn a_manifest_gives_each_method_its_policy() {
    let vhost = Broker::shared().vhost();
    let directory = Scratch::new();
    let copy = std::fs::copy(handlers().join("calculator.wasm"), directory.path().join("calculator.wasm"));
    copy.expect("the handlers are built");
    directory.write("calculator.toml", "[delivery.methods]\nloop_forever = \"at-most-once\"\n");
    let config = configuration(&vhost, "host-1", SLOW)
        .replace(&handlers().display().to_string(), &directory.path().display().to_string());
    let mut host = Serve::with_config(&config);
    let client = OsloClient::start(&vhost.url());
    client.cast(cast("loop_forever", json!({}))).expect("the broker has it");
    client.call(cast("add", json!({"a": 1, "b": 2}))).expect("a result");
    vhost.eventually("conductor", is_empty);
    host.kill();

    directory.write("calculator.toml", "[delivery.methods]\nloop_for_ever = \"at-most-once\"\n");
    let mut host =
        Serve::unready(["--transport-url", "memory://", "--handlers", &directory.path().display().to_string()]);
    host.wait_for_log("the handler has no method loop_for_ever; it has add, allocate, ");
}

/// What the log says when a message whose queue does not count was replaced by a copy that does.
const COUNTED: &str = "put back into its queue with its attempts counted";

/// Kills as many hosts as may be, each with the request running, and starts one more. Also gives how many of the killed
/// ones have counted the attempts themselves.
fn attempts_run_out(vhost: &Vhost, is_classic: bool, config: &str) -> (Serve, usize) {
    let mut counted = 0;
    for attempt in 1..=3 {
        let mut host = serve(vhost, &format!("host-{attempt}"), config);
        if is_classic && attempt > 1 {
            host.wait_for_log(COUNTED);
        }
        vhost.eventually("conductor", |queue| queue.unacknowledged == 1 && queue.ready == 0);
        host.kill();
        vhost.eventually("conductor", |queue| queue.ready == 1 && queue.unacknowledged == 0);
        counted += host.log().matches(COUNTED).count();
    }
    (serve(vhost, "host-4", config), counted)
}

/// Starts a service once, so that there is a queue, and stops it.
fn declare_queues(vhost: &Vhost, more: &str) {
    assert!(serve(vhost, "host-1", more).stop().success());
}

#[test]
fn a_request_that_takes_its_hosts_down_ends_after_its_attempts_and_its_caller_is_told() {
    for (kind, more) in [("classic", ""), ("quorum", "rabbit.rabbit_quorum_queue = true")] {
        let vhost = Broker::shared().vhost();
        declare_dead_letters(&vhost);
        declare_queues(&vhost, more);
        let durable = if more.is_empty() { "" } else { "?rabbit_quorum_queue=true" };
        let client = OsloClient::start(&format!("{}{durable}", vhost.url()));
        let mut call = cast("loop_forever", json!({}));
        call["timeout"] = json!(120);
        let call = client.start_call(call);
        vhost.eventually("conductor", |queue| queue.ready == 1);
        let bound = "delivery.max_attempts = 3\ndelivery.dead_letter_exchange = \"dead\"";
        let config = format!("{SLOW}\n{bound}\n{more}");
        let (host, counted) = attempts_run_out(&vhost, kind == "classic", &config);
        let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, "AttemptsExhausted", "{kind}");
        assert!(remote.value.to_string().contains("delivered 3 times"), "{kind}: {}", remote.value);
        let letter = letter(&vhost);
        assert_eq!(header(&letter, "outcome"), "exhausted", "{kind}");
        assert_eq!(header(&letter, "attempts"), 3, "{kind}");
        // Copies have been published to the queue itself; this is where the first one was.
        assert_eq!(
            (header(&letter, "exchange"), header(&letter, "routing-key")),
            (&json!("nova"), &json!("conductor"))
        );
        vhost.eventually("conductor", is_empty);
        assert_eq!(handled(&host.log(), "exhausted"), 1, "{kind}: {}", host.log());
        // A quorum queue counts for us.
        assert_eq!(counted, if kind == "classic" { 2 } else { 0 }, "{kind}");
    }
}

#[test]
fn a_request_of_a_killed_host_runs_once_more_and_is_answered_once() {
    let vhost = Broker::shared().vhost();
    let mut first = serve(&vhost, "host-1", SLOW);
    let client = OsloClient::start(&vhost.url());
    let call = client.start_call(cast("loop_forever", json!({})));
    vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
    first.kill();
    let second = serve(&vhost, "host-2", "log = \"debug\"\nlimits.timeout = \"200ms\"");
    let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerTimedOut");
    vhost.eventually("conductor", is_empty);
    // The copy has the unique id of the message that it replaced, and was no duplicate.
    let log = second.log();
    assert!(log.contains(COUNTED), "{log}");
    assert_eq!(handled(&log, "timed_out"), 1, "{log}");
}

#[test]
fn a_call_that_ends_while_there_is_no_broker_is_answered_once_and_not_run_again() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let durable = "rabbit.amqp_durable_queues = true\nlog = \"debug\"\nlimits.timeout = \"3s\"";
    let mut host = serve(&vhost, "host-1", durable);
    let client = OsloClient::start(&format!("{}?amqp_durable_queues=true", vhost.url()));
    let mut call = cast("loop_forever", json!({}));
    call["timeout"] = json!(100);
    let call = client.start_call(call);
    vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
    broker.kill();
    host.wait_for_log("timed_out");
    broker.start();
    let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerTimedOut");
    // The broker has delivered it again, and it was known.
    host.wait_for_log("a request that was handled already was delivered again");
    vhost.eventually("conductor", is_empty);
    assert_eq!(handled(&host.log(), "timed_out"), 1, "{}", host.log());
}

#[test]
fn casts_that_end_badly_and_what_is_no_request_become_dead_letters_that_say_why() {
    let vhost = Broker::shared().vhost();
    declare_dead_letters(&vhost);
    let _host = serve(&vhost, "host-1", "delivery.dead_letter_exchange = \"dead\"\nlimits.timeout = \"300ms\"");
    let client = OsloClient::start(&vhost.url());
    for (method, args, version, outcome, error) in [
        (
            "panic",
            json!({"message": "boom"}),
            "1.0",
            "trapped",
            "nova_host.errors.HandlerTrapped: the handler trapped: ",
        ),
        ("loop_forever", json!({}), "1.0", "timed_out", "nova_host.errors.HandlerTimedOut: "),
        ("allocate", json!({"mib": 1000}), "1.0", "out_of_memory", "nova_host.errors.HandlerOutOfMemory: "),
        ("recurse", json!({}), "1.0", "out_of_stack", "nova_host.errors.HandlerOutOfStack: "),
        ("fail", json!({"class": "KeyError", "message": "no\nsuch key"}), "1.0", "failed", "KeyError: no\\nsuch key"),
        ("nope", json!({}), "1.0", "refused", "oslo_messaging.rpc.dispatcher.NoSuchMethod: "),
        ("add", json!({"a": 1, "b": 2}), "9.9", "refused", "oslo_messaging.rpc.dispatcher.UnsupportedVersion: "),
    ] {
        let mut request = cast(method, args);
        request["version"] = json!(version);
        request["context"] = json!({"auth_token": "secret-token", "request_id": "req-1"});
        client.cast(request).expect("the broker has it");
        let letter = letter(&vhost);
        assert_eq!(header(&letter, "outcome"), outcome);
        let shown = header(&letter, "error").as_str().unwrap_or_default();
        assert!(shown.starts_with(error), "{shown}");
        assert_eq!((header(&letter, "method"), header(&letter, "version")), (&json!(method), &json!(version)));
        assert_eq!(header(&letter, "queue"), "conductor");
        assert_eq!(
            (header(&letter, "exchange"), header(&letter, "routing-key")),
            (&json!("nova"), &json!("conductor"))
        );
        let is_found = outcome != "refused";
        assert_eq!(header(&letter, "handler"), &if is_found { json!("calculator") } else { json!(null) });
        assert_eq!(header(&letter, "digest").is_string(), is_found);
        let properties = &letter.properties;
        assert_eq!(
            (&properties["content_type"], &properties["content_encoding"]),
            (&json!("application/json"), &json!("utf-8"))
        );
        assert!(!properties.to_string().contains("secret-token"), "{properties}");
        // The request itself, whole.
        let body = String::from_utf8(letter.body).expect("text");
        assert!(body.contains("secret-token") && body.contains(method), "{body}");
    }
    // What is no request, with whatever it carried.
    let odd = json!({"content_type": "text/plain", "user_id": "guest", "headers": {"CC": ["conductor"], "n": 1}});
    assert!(vhost.publish("nova", "conductor", &odd, b"\xff\x00"));
    let letter = letter(&vhost);
    assert_eq!((letter.body.as_slice(), header(&letter, "outcome")), (&b"\xff\x00"[..], &json!("undecodable")));
    let properties = &letter.properties;
    assert_eq!((&properties["content_type"], &properties["headers"]["n"]), (&json!("text/plain"), &json!(1)));
    assert!(properties["headers"]["CC"].is_null() && properties["user_id"].is_null(), "{properties}");
    // A call's failure is its caller's.
    client.call(cast("nope", json!({}))).expect_err("no such method");
    client.cast(cast("add", json!({"a": 1, "b": 2}))).expect("the broker has it");
    vhost.eventually("conductor", is_empty);
    assert_eq!(vhost.take("letters", 10).len(), 0);
}

#[test]
fn a_dead_letter_that_is_sent_again_is_a_new_request() {
    let vhost = Broker::shared().vhost();
    declare_dead_letters(&vhost);
    let _host = serve(&vhost, "host-1", "delivery.dead_letter_exchange = \"dead\"");
    let client = OsloClient::start(&vhost.url());
    client.cast(cast("nope", json!({}))).expect("the broker has it");
    let first = letter(&vhost);
    assert!(vhost.publish("nova", "conductor", &first.properties, &first.body));
    assert_eq!(letter(&vhost).body, first.body);
}

#[test]
fn a_dead_letter_exchange_that_is_missing_is_said_at_the_start_and_loses_nothing_later() {
    let vhost = Broker::shared().vhost();
    let config = configuration(&vhost, "host-1", "delivery.dead_letter_exchange = \"dead\"");
    let scratch = Scratch::new();
    let file = scratch.write("nova-host.toml", &config);
    let mut host = Serve::unready([std::ffi::OsStr::new("--config"), file.as_os_str()]);
    let status = eventually("its end", || host.wait(Duration::from_secs(1)));
    assert_eq!(status.code(), Some(4), "{}", host.log());
    assert!(host.log().contains("no exchange 'dead'"), "{}", host.log());

    declare_dead_letters(&vhost);
    let mut host = Serve::with_config(&config);
    // From now on it has no queue, and then it is gone.
    vhost.delete_queue("letters");
    vhost.declare_queue("last", &json!({}));
    vhost.set_policy("last", "^conductor$", &json!({"dead-letter-exchange": "", "dead-letter-routing-key": "last"}));
    let client = OsloClient::start(&vhost.url());
    client.cast(cast("nope", json!({}))).expect("the broker has it");
    vhost.eventually("last", |queue| queue.ready == 1);
    host.wait_for_log("no queue is bound to it for this routing key");
    vhost.delete_exchange("dead");
    client.cast(cast("nope", json!({}))).expect("the broker has it");
    vhost.eventually("last", |queue| queue.ready == 2);
    host.wait_for_log("NOT_FOUND");
    assert_eq!(client.call(cast("add", json!({"a": 1, "b": 2}))).expect("a result"), 3);
}

#[test]
fn a_ping_is_answered_where_it_is_enabled() {
    let vhost = Broker::shared().vhost();
    let client = OsloClient::start(&vhost.url());
    {
        let _host = serve(&vhost, "host-1", "rpc_ping_enabled = true");
        assert_eq!(client.call(cast("oslo_rpc_server_ping", json!({}))).expect("a result"), "pong");
        assert_eq!(client.call(cast("oslo_rpc_server_ping", json!({"any": [1]}))).expect("a result"), "pong");
        for (version, expected) in [("2.0", "NoSuchMethod"), ("9.0", "UnsupportedVersion")] {
            let mut ping = cast("oslo_rpc_server_ping", json!({}));
            ping["version"] = json!(version);
            let remote = client.call(ping).expect_err("refused").remote.expect("a RemoteError");
            assert_eq!(remote.exc_type, expected);
        }
    }
    let _host = serve(&vhost, "host-1", "");
    let refused = client.call(cast("oslo_rpc_server_ping", json!({}))).expect_err("refused");
    assert_eq!(refused.remote.expect("a RemoteError").exc_type, "NoSuchMethod");
}

/// The numbers that were logged, each as often as it was.
fn logged(log: &str) -> Vec<usize> {
    log.lines().filter_map(|line| line.split("cast-").nth(1)?.split('.').next()?.parse().ok()).collect()
}

#[test]
fn casts_that_arrive_while_a_service_stops_are_run_by_it_or_by_the_next() {
    let vhost = Broker::shared().vhost();
    let mut first = serve(&vhost, "host-1", "limits.timeout = \"2s\"\nmax_in_flight = 4");
    let client = OsloClient::start(&vhost.url());
    let number = |n: usize| cast("log", json!({"level": "info", "message": format!("cast-{n}.")}));
    // Keeps it from stopping at once.
    client.cast(cast("loop_forever", json!({}))).expect("the broker has it");
    vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
    for n in 0..40 {
        client.cast(number(n)).expect("the broker has it");
        if n == 10 {
            first.signal("TERM");
        }
    }
    // Once is enough: a second signal would give back what still runs.
    assert!(first.wait(PATIENCE).is_some_and(|status| status.success()));
    for n in 40..50 {
        client.cast(number(n)).expect("the broker has it");
    }
    let second = serve(&vhost, "host-1", "");
    let all: BTreeSet<usize> = (0..50).collect();
    let (first_log, log) = (first.log(), || second.log());
    eventually("every cast", || {
        let ran: BTreeSet<usize> = logged(&first_log).into_iter().chain(logged(&log())).collect();
        (ran == all).then_some(())
    });
    vhost.eventually("conductor", is_empty);
    let mut runs = logged(&first_log);
    runs.extend(logged(&log()));
    assert_eq!(runs.len(), all.len(), "no cast ran twice");
    assert!(runs.len() > logged(&first_log).len() && first_log.contains("stopped"));
    // Neither has left anything of its own behind but the second's fanout queue.
    let fanouts = vhost.queues().into_keys().filter(|name| name.contains("_fanout_")).count();
    assert_eq!(fanouts, 1);
}

#[test]
fn a_service_that_is_stopped_without_its_broker_has_lost_nothing_and_starts_again() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let durable = format!("{SLOW}\nrabbit.amqp_durable_queues = true");
    let mut first = serve(&vhost, "host-1", &durable);
    let client = OsloClient::start(&format!("{}?amqp_durable_queues=true", vhost.url()));
    client.cast(cast("loop_forever", json!({}))).expect("the broker has it");
    vhost.eventually("conductor", |queue| queue.unacknowledged == 1);
    broker.kill();
    first.wait_for_log("lost the connection");
    assert!(first.stop().success());
    broker.start();
    vhost.eventually("conductor", |queue| queue.ready == 1);
    let mut second =
        serve(&vhost, "host-1", "log = \"debug\"\nlimits.timeout = \"200ms\"\nrabbit.amqp_durable_queues = true");
    second.wait_for_log("timed_out");
    vhost.eventually("conductor", is_empty);
}
