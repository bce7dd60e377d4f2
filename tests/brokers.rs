//! Other brokers: a handler asks services that are on another RabbitMQ than its own, by the broker's name.

use serde_json::{Value, json};

use crate::harness::{
    Broker, OsloClient, OsloError, PATIENCE, Proxy, Scratch, Serve, Services, Vhost,
    guest::{Asks, CALL, CAST, ECHO, asking},
};

/// What the compute services are asked.
const BUILD: Asks<'static> = Asks {
    broker: Some("cell1"),
    topic: "compute",
    method: "build_and_run_instance",
    arguments: r#"{"n": 1}"#,
    server: Some("host1"),
    timeout_ms: None,
};

/// A service whose handlers may ask computes of other brokers, and its caller.
struct Story {
    host: Serve,
    client: OsloClient,
    _vhost: Vhost,
    _scratch: Scratch,
}

impl Story {
    /// Starts with handlers by version, so that one caller asks each, and other brokers as the configuration has them.
    fn begin(handlers: &[(&str, Vec<u8>)], limits: &str, brokers: &str) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        for (version, component) in handlers {
            let name = format!("handler-{}", version.replace('.', "-"));
            scratch.write(&format!("handlers/{name}.wasm"), component);
            let manifest = format!(
                "grants.rpc = [\"cell1:compute/*\", \"cell2:compute/*\"]\n[limits]\n{limits}\n\
                 [[endpoint]]\nversion = \"{version}\""
            );
            scratch.write(&format!("handlers/{name}.toml"), manifest);
        }
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nhandlers.directory = \"{}/handlers\"\nlog = \"debug,lapin=off\"\n{brokers}",
            vhost.url(),
            scratch.path().display(),
        ));
        Self { host, client: OsloClient::start(&vhost.url()), _vhost: vhost, _scratch: scratch }
    }

    fn call(&self, version: &str) -> Result<Value, Box<OsloError>> {
        let (context, timeout) = (json!({"user_id": "ada"}), PATIENCE.as_secs());
        self.client.call(
            json!({"topic": "conductor", "method": "m", "version": version, "context": context, "timeout": timeout,
                   "args": {"from": "caller"}}),
        )
    }

    /// The class and the first line of what the caller is told.
    fn failure(&self, version: &str) -> (String, String) {
        let remote = self.call(version).expect_err("it fails").remote.expect("a RemoteError");
        let text = remote.value.as_str().unwrap_or_default();
        (remote.exc_type, text.lines().next().unwrap_or_default().to_owned())
    }
}

#[test]
fn a_handler_calls_and_casts_to_services_of_another_broker() {
    let cell = Broker::shared().vhost();
    let services = Services::start(&cell.url());
    let brokers = format!("[brokers.cell1]\ntransport_url = \"{}\"", cell.url());
    // The cast is first, and held until the handler has succeeded: the call arrives before it.
    let both = asking(BUILD, &format!("{CAST} (call $call (i32.const 3000) (i32.const 3600)) {ECHO}"));
    let elsewhere = asking(Asks { broker: Some("cell2"), ..BUILD }, CALL);
    let ungranted = asking(Asks { topic: "scheduler", method: "select_destinations", ..BUILD }, CALL);
    let own = asking(Asks { broker: None, ..BUILD }, CALL);
    let handlers = [("1.0", both), ("2.0", elsewhere), ("3.0", ungranted), ("4.0", own)];
    let story = Story::begin(&handlers, "", &brokers);

    assert_eq!(story.call("1.0").expect("the other broker's service answers"), json!({"from": "caller"}));
    for _ in ["call", "cast"] {
        let told = services.next();
        assert_eq!((&told["service"], &told["args"]), (&json!("host1"), &json!({"n": 1})));
        assert_eq!(told["context"]["user_id"], "ada", "{told}");
    }
    // What is granted there is granted there only, and a broker must be configured.
    for (version, reason) in [
        ("2.0", "the service has no broker cell2 (brokers.cell2.transport_url)"),
        ("3.0", "cell1:scheduler/select_destinations is not granted (grants.rpc in the manifest)"),
        ("4.0", "compute/build_and_run_instance is not granted (grants.rpc in the manifest)"),
    ] {
        assert_eq!(story.failure(version), ("E".to_owned(), reason.to_owned()));
    }
}

#[test]
fn a_broker_that_is_down_when_it_is_first_asked_is_found_when_it_comes_back() {
    let cell = Broker::shared().vhost();
    let services = Services::start(&cell.url());
    let proxy = Proxy::start(&cell.addresses()[0]);
    proxy.refuse(true);
    let brokers = format!("[brokers.cell1]\ntransport_url = \"{}\"", cell.url_by(&[proxy.address().to_owned()]));
    let calls = asking(Asks { timeout_ms: Some(500), ..BUILD }, CALL);
    let casts = asking(Asks { arguments: r#"{"n": 2}"#, ..BUILD }, &format!("{CAST} {ECHO}"));
    let story = Story::begin(&[("1.0", calls), ("2.0", casts)], "timeout = \"5s\"", &brokers);

    // The service itself does not need that broker.
    let down =
        "the broker did not take build_and_run_instance within 500ms: it cannot be reached, or accepts no messages now";
    assert_eq!(story.failure("1.0"), ("E".to_owned(), down.to_owned()));
    // The handler succeeds, and what it has done does not reach anybody: its caller is told.
    let (class, text) = story.failure("2.0");
    assert_eq!(class, "EffectsNotReleased");
    let expected = "the handler succeeded, but only 0 of its 1 effects were released: the broker did not take build_and_run_instance";
    assert!(text.starts_with(expected), "{text}");

    proxy.refuse(false);
    // However long it takes to connect again: what a handler is told is one of the two until it is there.
    while let Err(error) = story.call("2.0") {
        assert_eq!(error.remote.expect("a RemoteError").exc_type, "EffectsNotReleased");
    }
    assert_eq!(services.next()["args"], json!({"n": 2}));
}

#[test]
fn what_another_broker_refuses_is_said_without_the_password() {
    let cell = Broker::shared().vhost();
    let url = cell.url().replace("guest:guest@", "guest:hunter2@");
    assert!(url.contains("hunter2"), "{url}");
    let calls = asking(Asks { timeout_ms: Some(2000), ..BUILD }, CALL);
    let mut story = Story::begin(&[("1.0", calls)], "", &format!("[brokers.cell1]\ntransport_url = \"{url}\""));
    assert_eq!(story.failure("1.0").1, "the broker does not take it");
    story.host.wait_for_log("a request of a handler was not taken");
    let log = story.host.log();
    assert!(!log.contains("hunter2"), "{log}");
}
