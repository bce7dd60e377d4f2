//! Real oslo.messaging clients call WebAssembly handlers through a real RabbitMQ, and cannot tell.

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, OsloError, Serve, Vhost, handlers};

/// A service on exchange `nova`, topic `conductor`, and a Python client of it.
struct Story {
    vhost: Vhost,
    host: Serve,
    client: OsloClient,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let host = serve(&vhost, "host-1", "");
        let client = OsloClient::start(&vhost.url());
        Self { vhost, host, client }
    }

    fn call(&self, method: &str, args: Value) -> Result<Value, Box<OsloError>> {
        self.client.call(json!({"topic": "conductor", "method": method, "args": args}))
    }

    fn fails(&self, method: &str, args: Value) -> OsloError {
        match self.call(method, args) {
            Err(error) => *error,
            Ok(value) => panic!("{method} returned {value}"),
        }
    }
}

/// Starts a service; `more` is added to its configuration.
pub(crate) fn serve(vhost: &Vhost, server: &str, more: &str) -> Serve {
    Serve::with_config(&configuration(vhost, server, more))
}

pub(crate) fn configuration(vhost: &Vhost, server: &str, more: &str) -> String {
    format!(
        "transport_url = \"{}\"\nserver = \"{server}\"\nhandlers.directory = \"{}\"\n{more}\n",
        vhost.url(),
        handlers().display()
    )
}

#[test]
fn a_python_client_gets_the_sum_of_one_and_two() {
    assert_eq!(Story::begin().call("add", json!({"a": 1, "b": 2})).expect("a result"), 3);
}

#[test]
fn values_of_every_kind_come_back_as_python_sent_them() {
    let story = Story::begin();
    for value in [
        json!(null),
        json!([true, false]),
        json!(0.1),
        json!(-9_007_199_254_740_993_i64),
        json!("häß \u{1F600} \"quoted\" \n"),
        json!({"list": [1, "two", {"three": null}], "": {}}),
        json!("x".repeat(1 << 20)),
    ] {
        assert_eq!(story.call("echo", json!({"value": value})).expect("a result"), value);
    }
    let tuple = json!({"topic": "conductor", "method": "echo", "args_expr": "{'value': (1, 'after')}"});
    assert_eq!(story.client.call(tuple).expect("a result"), json!([1, "after"]));
}

#[test]
fn the_context_arrives_whole() {
    let context = json!({"user_id": "u", "roles": ["admin"], "request_id": "req-1", "auth_token": "secret-token"});
    let story = Story::begin();
    let call = json!({"topic": "conductor", "method": "context", "context": context});
    let mut expected = context;
    expected["client_timeout"] = json!(null);
    assert_eq!(story.client.call(call).expect("a result"), expected);
    assert!(!story.host.log().contains("secret-token"));
}

#[test]
fn exceptions_are_raised_again() {
    let story = Story::begin();
    let division = story.fails("divide", json!({"a": 1, "b": 0}));
    assert_eq!((division.class.as_str(), division.module.as_str()), ("ZeroDivisionError", "builtins"));
    assert!(division.text.starts_with("division by zero"), "{}", division.text);

    let missing = story.fails("add", json!({"a": 1}));
    assert_eq!(missing.class, "TypeError");
    assert!(
        missing.text.starts_with("Calculator.add() missing 1 required positional argument: 'b'"),
        "{}",
        missing.text
    );

    let raised = json!({"class": "KeyError", "message": "k", "args": ["k", 2]});
    assert_eq!(story.fails("fail", raised).class, "KeyError");
}

#[test]
fn an_exception_of_nova_is_raised_as_its_own_class_where_the_client_allows_it() {
    let story = Story::begin();
    let refused = story.fails("not_found", json!({"instance_id": "7"}));
    let remote = refused.remote.expect("a RemoteError");
    assert_eq!(
        (remote.exc_type.as_str(), &remote.value),
        ("InstanceNotFound", &json!("Instance 7 could not be found."))
    );

    let nova = OsloClient::allowing(&story.vhost.url(), &["nova.exception"]);
    let call = json!({"topic": "conductor", "method": "not_found", "args": {"instance_id": "7"}});
    let raised = nova.call(call).expect_err("it fails");
    assert!(raised.bases.iter().any(|base| base == "nova.exception.InstanceNotFound"), "{raised:?}");
    assert_eq!(raised.kwargs, json!({"instance_id": "7", "code": 404}));
    assert_eq!(raised.args, [json!("Instance 7 could not be found.")]);
}

#[test]
fn what_the_dispatcher_refuses_is_refused_in_the_references_words() {
    let story = Story::begin();
    for (call, exc_type, value) in [
        (json!({"method": "nope"}), "NoSuchMethod", "Endpoint does not support RPC method nope"),
        (json!({"method": "_private"}), "NoSuchMethod", "Endpoint does not support RPC method _private"),
        (
            json!({"method": "add", "version": "1.99"}),
            "UnsupportedVersion",
            "Endpoint does not support RPC version 1.99. Attempted method: add",
        ),
        (
            json!({"method": "add", "namespace": "nowhere"}),
            "UnsupportedVersion",
            "Endpoint does not support RPC version 1.0. Attempted method: add",
        ),
    ] {
        let mut call = call;
        call["topic"] = json!("conductor");
        let remote = story.client.call(call).expect_err("it is refused").remote.expect("a RemoteError");
        assert_eq!((remote.exc_type.as_str(), &remote.value), (exc_type, &json!(value)));
    }
}

#[test]
fn guests_that_misbehave_are_answered_for_and_disturb_nobody() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "limits.timeout = \"2s\"");
    let client = OsloClient::start(&vhost.url());
    let call = |method: &str, args: Value| json!({"topic": "conductor", "method": method, "args": args});
    let bad = [
        ("panic", json!({"message": "boom"}), "HandlerTrapped"),
        ("loop_forever", json!({}), "HandlerTimedOut"),
        ("recurse", json!({}), "HandlerOutOfStack"),
        ("allocate", json!({"mib": 1000}), "HandlerOutOfMemory"),
    ];
    for _ in 0..3 {
        let outstanding: Vec<_> =
            bad.iter().map(|(method, args, class)| (client.start_call(call(method, args.clone())), class)).collect();
        assert_eq!(client.call(call("add", json!({"a": 1, "b": 2}))).expect("a result"), 3);
        for (call, class) in outstanding {
            let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
            assert_eq!(&remote.exc_type, class);
        }
    }
    assert!(host.log().contains("panicked at"));
    vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
}

#[test]
fn a_cast_runs_and_answers_nobody() {
    let mut story = Story::begin();
    let args = json!({"level": "info", "message": "the cast ran"});
    story.client.cast(json!({"topic": "conductor", "method": "log", "args": args})).expect("the broker has it");
    story.host.wait_for_log("the cast ran");
    story.vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
}

#[test]
fn a_fanout_reaches_every_server_and_a_directed_request_one() {
    let vhost = Broker::shared().vhost();
    let mut hosts = [serve(&vhost, "host-1", ""), serve(&vhost, "host-2", "")];
    let client = OsloClient::start(&vhost.url());
    let log =
        |message: &str| json!({"topic": "conductor", "method": "log", "args": {"level": "info", "message": message}});

    let mut fanout = log("to everybody");
    fanout["fanout"] = json!(true);
    client.cast(fanout).expect("the broker has it");
    hosts.iter_mut().for_each(|host| host.wait_for_log("to everybody"));

    let mut directed = log("to the second");
    directed["server"] = json!("host-2");
    client.call(directed).expect("a result");
    let [first, second] = hosts.each_ref().map(|host| host.log().contains("to the second"));
    assert!(!first && second);
}

#[test]
fn the_conductor_answers_what_nova_services_wait_for() {
    let story = Story::begin();
    let ping = json!({
        "topic": "conductor", "namespace": "baseapi", "version": "1.0", "method": "ping",
        "args": {"arg": "1.21 GigaWatts"}, "timeout": 10,
    });
    let pong = story.client.call(ping).expect("a result");
    assert_eq!(pong, json!({"service": "conductor", "arg": "1.21 GigaWatts"}));
}

#[test]
fn a_slow_call_is_kept_alive_by_heartbeats() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "limits.timeout = \"15s\"");
    let client = OsloClient::start(&vhost.url());
    // Without them the caller would give up after ten seconds; they may be five late.
    let call = json!({"topic": "conductor", "method": "loop_forever", "call_monitor_timeout": 10, "timeout": 60});
    let remote = client.call(call).expect_err("it fails").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerTimedOut");
}

#[test]
fn our_client_calls_a_python_server() {
    let vhost = Broker::shared().vhost();
    let _server = crate::harness::OsloServer::start(&vhost.url(), "python", "python-1");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::harness::nova_host());
        command.args(arguments).args(["--topic", "python", "--transport-url", &vhost.url()]).output().expect("it runs")
    };
    let sum = run(&["call", "add", r#"{"a": 1, "b": 2}"#]);
    assert_eq!(String::from_utf8_lossy(&sum.stdout), "3\n", "{sum:?}");
    let failure = run(&["call", "fail", r#"{"message": "no"}"#]);
    assert_eq!(failure.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&failure.stderr), "nova-host: ValueError: no\n");
    let directed = run(&["call", "--server", "python-1", "add", r#"{"a": 1, "b": 2}"#]);
    assert_eq!(String::from_utf8_lossy(&directed.stdout), "3\n", "{directed:?}");
    assert_eq!(run(&["cast", "--fanout", "echo", r#"{"value": 1}"#]).status.code(), Some(0));
}
