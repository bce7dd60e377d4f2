//! Options that change what is declared: streams, names that come again, exchanges that are there already.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Broker, OsloClient, Scratch, Serve, Vhost, eventually, handlers, nova_host},
    oslo::{configuration, serve},
};

const STREAM: &str = "rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true\
    &rabbit_qos_prefetch_count=5";

fn with_options(vhost: &Vhost, server: &str, options: &str, more: &str) -> Serve {
    let plain = configuration(vhost, server, more);
    Serve::with_config(&plain.replace(&vhost.url(), &format!("{}?{options}", vhost.url())))
}

fn fanout(message: &str) -> Value {
    let args = json!({"level": "info", "message": message});
    json!({"topic": "conductor", "method": "log", "fanout": true, "args": args})
}

fn count(host: &Serve, text: &str) -> usize {
    host.log().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn one_stream_brings_every_fanout_to_every_server_once_also_across_lost_connections() {
    let vhost = Broker::shared().vhost();
    let hosts = ["host-1", "host-2"].map(|name| with_options(&vhost, name, STREAM, ""));
    let names: Vec<String> = vhost.queues().into_keys().collect();
    assert_eq!(names, ["conductor", "conductor.host-1", "conductor.host-2", "conductor_fanout"]);
    let client = OsloClient::start(&format!("{}?{STREAM}", vhost.url()));
    for round in 0..4 {
        for n in 0..25 {
            client.cast(fanout(&format!("<message {round}-{n}>"))).expect("the broker has it");
        }
        eventually("connections", || Some(vhost.close_connections()).filter(|closed| *closed >= 2));
    }
    for host in &hosts {
        eventually("every fanout", || (count(host, "<message ") >= 100).then_some(()));
        for n in 0..100 {
            assert_eq!(count(host, &format!("<message {}-{}>", n / 25, n % 25)), 1, "{n}");
        }
    }
    let [first, second] = hosts;
    drop(first);
    drop(second);
    // Everybody's stream stays when one of them ends.
    assert!(vhost.queue("conductor_fanout").is_some());
}

#[test]
fn what_was_read_from_a_stream_and_not_handled_is_read_again_after_a_lost_connection() {
    let vhost = Broker::shared().vhost();
    let more = "max_in_flight = 2\nlimits.timeout = \"25s\"";
    let host = with_options(&vhost, "host-1", STREAM, more);
    let client = OsloClient::start(&format!("{}?{STREAM}", vhost.url()));
    // Two that take their time hold every permit; the others were delivered and wait.
    let slow = json!({"topic": "conductor", "method": "loop_forever", "fanout": true});
    for _ in 0..2 {
        client.cast(slow.clone()).expect("the broker has it");
    }
    for n in 0..10 {
        client.cast(fanout(&format!("<message {n}>"))).expect("the broker has it");
    }
    eventually("connections", || Some(vhost.close_connections()).filter(|closed| *closed >= 2));
    eventually("the loss", || (count(&host, "lost the connection to RabbitMQ that consumes") > 0).then_some(()));
    assert_eq!((count(&host, "timed_out"), count(&host, "<message ")), (0, 0), "all of them were unsettled");
    eventually("every fanout", || (count(&host, "<message ") >= 10).then_some(()));
    for n in 0..10 {
        assert_eq!(count(&host, &format!("<message {n}>")), 1, "{n}");
    }
}

#[test]
fn a_stream_that_was_deleted_is_made_anew_and_read() {
    let vhost = Broker::shared().vhost();
    let mut host = with_options(&vhost, "host-1", STREAM, "");
    let client = OsloClient::start(&format!("{}?{STREAM}", vhost.url()));
    for n in 0..20 {
        client.cast(fanout(&format!("<before {n}>"))).expect("the broker has it");
    }
    eventually("every fanout", || (count(&host, "<before ") == 20).then_some(()));
    // A queue that goes within a second of being consumed costs the connection: not what this is about.
    std::thread::sleep(Duration::from_millis(1500));
    vhost.delete_queue("conductor_fanout");
    host.wait_for_log("RabbitMQ has cancelled a consumer");
    // Before the exchange is there again, oslo.messaging says so; before the queue is, a fanout has nowhere to go.
    eventually("a fanout", || {
        client.cast(fanout("<after>")).ok();
        (count(&host, "<after>") > 0).then_some(())
    });
}

#[test]
fn a_stream_that_was_made_anew_while_we_were_away_is_read_from_its_beginning() {
    let vhost = Broker::shared().vhost();
    let host = with_options(&vhost, "host-1", STREAM, "");
    let client = OsloClient::start(&format!("{}?{STREAM}", vhost.url()));
    for n in 0..20 {
        client.cast(fanout(&format!("<before {n}>"))).expect("the broker has it");
    }
    eventually("every fanout", || (count(&host, "<before ") == 20).then_some(()));
    host.signal("STOP");
    eventually("our connection", || Some(vhost.close_connections()).filter(|closed| *closed >= 1));
    vhost.delete_queue("conductor_fanout");
    vhost.declare_queue("conductor_fanout", &json!({"x-queue-type": "stream", "x-max-age": "1800s"}));
    vhost.declare_auto_delete_exchange("conductor_fanout", "fanout");
    vhost.bind("conductor_fanout", "conductor_fanout", "conductor");
    for n in 0..5 {
        eventually("the broker has it", || client.cast(fanout(&format!("<after {n}>"))).ok());
    }
    host.signal("CONT");
    eventually("every fanout", || (count(&host, "<after ") == 5).then_some(()));
    assert!(host.log().contains("it was made anew"), "{}", host.log());
    assert_eq!(count(&host, "<before "), 20);
}

#[test]
fn two_processes_never_share_a_name_and_whoever_comes_back_has_its_own() {
    let vhost = Broker::shared().vhost();
    let scratch = Scratch::new();
    let directory = scratch.path().join("run");
    let options = format!(
        "use_queue_manager=true&hostname=node-a&processname=conductor&queue_manager_directory={}",
        directory.display()
    );
    let start = |server| with_options(&vhost, server, &options, "");
    let fanouts = || -> Vec<(String, u64)> {
        let queues = vhost.queues().into_iter().filter(|(name, _)| name.starts_with("conductor_fanout_"));
        queues.map(|(name, queue)| (name.replace("conductor_fanout_node-a:conductor:", "#"), queue.consumers)).collect()
    };
    let (first, second) = (start("host-1"), start("host-2"));
    eventually("two queues", || (fanouts() == [("#1".into(), 1), ("#2".into(), 1)]).then_some(()));
    let call = |number: u32| {
        let url = format!("{}?{options}", vhost.url());
        let mut command = std::process::Command::new(nova_host());
        let ran = command.args(["call", "add", r#"{"a":1,"b":2}"#, "--transport-url", &url]).output().expect("it runs");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "3\n", "{ran:?}");
        let queue = format!("reply_node-a:conductor:{number}");
        assert!(vhost.queue(&queue).is_some(), "{queue} in {:?}", vhost.queues());
    };
    call(3);
    // Kept, for the process that comes back.
    drop(first);
    eventually("one consumer", || (fanouts() == [("#1".into(), 0), ("#2".into(), 1)]).then_some(()));
    let first = start("host-1");
    eventually("two consumers", || (fanouts() == [("#1".into(), 1), ("#2".into(), 1)]).then_some(()));
    call(3);
    drop((first, second));
}

#[test]
fn an_exchange_without_durability_is_used_as_it_is_by_server_and_client() {
    let vhost = Broker::shared().vhost();
    vhost.declare_transient_exchange("nova", "topic");
    let options = "amqp_durable_queues=true";
    let mut host = with_options(&vhost, "host-1", options, "");
    host.wait_for_log("the exchange exists and is not durable; going on without");
    assert!(!vhost.is_durable("queues", "conductor"));
    assert!(!vhost.is_durable("exchanges", "nova"));
    let url = format!("{}?{options}", vhost.url());
    let sum = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}});
    assert_eq!(OsloClient::start(&url).call(sum).expect("a result"), 3);
    let mut command = std::process::Command::new(nova_host());
    let ran = command.args(["call", "add", r#"{"a":1,"b":2}"#, "--transport-url", &url]).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "3\n", "{ran:?}");
}

#[test]
fn what_exists_with_other_options_is_refused_with_its_name_and_what_to_do() {
    let run = |vhost: &Vhost, options: &str| {
        let url = format!("{}?{options}", vhost.url());
        let mut host = Serve::unready(["--transport-url", &url, "--handlers", &handlers().display().to_string()]);
        let code = host.wait(crate::harness::PATIENCE).and_then(|status| status.code());
        assert_eq!(code, Some(4), "{}", host.log());
        host.log().lines().last().unwrap_or_default().to_owned()
    };
    // A durable exchange, and we want one that is not.
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("nova", "topic");
    let text = run(&vhost, "amqp_durable_queues=false");
    assert!(text.contains("exchange 'nova'") && text.contains("set those of [rabbit]"), "{text}");
    // Another type of exchange.
    let vhost = Broker::shared().vhost();
    vhost.declare_exchange("nova", "direct");
    let text = run(&vhost, "amqp_durable_queues=true");
    assert!(text.contains("exchange 'nova'") && text.contains("type"), "{text}");
    // Other arguments of a queue, and another type.
    for arguments in [json!({"x-expires": 60_000}), json!({"x-queue-type": "quorum"})] {
        let vhost = Broker::shared().vhost();
        vhost.declare_queue("conductor", &arguments);
        let text = run(&vhost, "amqp_durable_queues=true");
        assert!(text.contains("queue 'conductor'") && text.contains("or delete it"), "{text}");
    }
}

#[test]
fn the_prefetch_is_the_less_of_two_bounds() {
    let vhost = Broker::shared().vhost();
    let options = "rabbit_qos_prefetch_count=3&enable_cancel_on_failover=true";
    let host =
        with_options(&vhost, "host-1", options, "max_in_flight = 8\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"");
    let client = OsloClient::start(&vhost.url());
    for _ in 0..10 {
        client.cast(json!({"topic": "conductor", "method": "loop_forever"})).expect("the broker has it");
    }
    vhost.eventually("conductor", |queue| (queue.ready, queue.unacknowledged) == (7, 3));
    drop(host);
    let _host = serve(&vhost, "host-1", "max_in_flight = 2\nlimits.timeout = \"600s\"\ngrace_period = \"0s\"");
    vhost.eventually("conductor", |queue| (queue.ready, queue.unacknowledged) == (8, 2));
}
