//! What nova-conductor does, done by a handler: a real nova client asks, a scheduler and compute services are asked.
//!
//! Whatever goes wrong in the middle, no compute service hears of a request that did not succeed: after each failure a
//! request that succeeds follows, and its messages are the first that the computes get.

use serde_json::{Value, json};

use crate::harness::{
    Broker, NovaClient, OsloClient, PATIENCE, Scratch, Serve, Services, Vhost,
    guest::{Asks, CAST, ECHO, asking},
    handlers,
};

const FIRST: &str = "11111111-0000-0000-0000-000000000001";
const SECOND: &str = "22222222-0000-0000-0000-000000000002";
const THIRD: &str = "33333333-0000-0000-0000-000000000003";

/// A service with its handlers, and the services that it asks.
struct Story {
    vhost: Vhost,
    services: Services,
    scratch: Scratch,
    host: Serve,
}

impl Story {
    /// Starts with the conductor, and something changed in its manifest.
    fn with_conductor(change: (&str, &str)) -> Self {
        let read = |name| std::fs::read(handlers().join(name)).expect("the handlers were built");
        let manifest = String::from_utf8(read("conductor.toml")).expect("it is text");
        assert!(manifest.contains(change.0), "{manifest}");
        let manifest = manifest.replacen(change.0, change.1, 1);
        Self::begin(&[("conductor.wasm", &read("conductor.wasm")), ("conductor.toml", manifest.as_bytes())])
    }

    fn begin(files: &[(&str, &[u8])]) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        for (name, content) in files {
            scratch.write(&format!("handlers/{name}"), content);
        }
        let services = Services::start(&vhost.url());
        let host = serve(&vhost, &scratch);
        Self { vhost, services, scratch, host }
    }

    /// Has one more instance built, which must be the first that a compute service hears of.
    fn nothing_was_left_behind(&self, client: &NovaClient) {
        self.services.behave("choose");
        client.build(None, &[THIRD]);
        assert_eq!(self.services.next()["service"], "scheduler");
        let told = self.services.next();
        assert_eq!((&told["service"], uuid_of(&told)), (&json!("host1"), THIRD));
    }
}

fn serve(vhost: &Vhost, scratch: &Scratch) -> Serve {
    Serve::with_config(&format!(
        "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{path}/handlers\"\n\
         control.socket = \"{path}/control.sock\"\nlog = \"debug,lapin=off\"",
        vhost.url(),
        path = scratch.path().display(),
    ))
}

/// The instance that a compute service was told to build.
fn uuid_of(told: &Value) -> &str {
    let instance = &told["args"]["instance"];
    instance["nova_object.data"]["uuid"].as_str().unwrap_or_default()
}

/// Two instances, each on its host, however old the client is.
fn two_are_built(version: Option<&str>, compute: &str) {
    let story = Story::with_conductor(("", ""));
    let client = NovaClient::start(&story.vhost.url());
    client.build(version, &[FIRST, SECOND]);

    let asked = story.services.next();
    assert_eq!((&asked["service"], &asked["method"]), (&json!("scheduler"), &json!("select_destinations")));
    assert_eq!((&asked["context"]["user_id"], &asked["context"]["auth_token"]), (&json!("u-1"), &json!("live-token")));
    match version {
        None => {
            assert_eq!(asked["args"]["instance_uuids"], json!([FIRST, SECOND]));
            assert_eq!(asked["args"]["spec_obj"]["nova_object.name"], "RequestSpec");
        }
        Some(_) => {
            assert_eq!(asked["args"]["request_spec"]["num_instances"], 2);
            assert_eq!(asked["args"]["request_spec"]["image"]["name"], "cirros");
        }
    }

    // The hosts are told in order, but run beside each other.
    let mut told = [story.services.next(), story.services.next()];
    told.sort_by_key(|told| told["service"].to_string());
    for (told, uuid, host) in [(&told[0], FIRST, "host1"), (&told[1], SECOND, "host2")] {
        assert_eq!((&told["service"], uuid_of(told)), (&json!(host), uuid));
        assert_eq!((&told["method"], &told["version"]), (&json!("build_and_run_instance"), &json!(compute)));
        let args = &told["args"];
        assert_eq!((&args["admin_password"], &args["image"]["name"]), (&json!("hunter2"), &json!("cirros")));
        assert_eq!((&args["node"], &args["limits"]["memory_mb"]), (&json!(format!("node-of-{host}")), &json!(4096)));
        let tried = json!({"num_attempts": 1, "hosts": [[host, format!("node-of-{host}")]]});
        assert_eq!(args["filter_properties"]["retry"], tried);
        assert_eq!(told["context"]["request_id"], "req-00000000-0000-0000-0000-000000000abc");
    }
    let log = story.host.log();
    assert!(log.contains(&format!("instance {FIRST} goes to host1 (1 of 2) for req-")), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("live-token"), "a secret is in the log");
}

#[test]
fn a_nova_client_of_today_has_its_instances_built() {
    two_are_built(None, "6.4");
}

#[test]
fn a_nova_client_of_havanas_version_has_its_instances_built() {
    two_are_built(Some("1.5"), "4.13");
}

#[test]
fn a_scheduler_that_finds_no_host_is_novas_own_exception() {
    let story = Story::with_conductor(("", ""));
    let client = NovaClient::start(&story.vhost.url());
    story.services.behave("none");
    for version in [None, Some("1.5")] {
        let exception = client.call(version, &[FIRST, SECOND]).expect_err("there is no host");
        assert!(exception.classes.iter().any(|class| class == "nova.exception.NoValidHost"), "{exception:?}");
        // oslo.messaging appends the traceback.
        assert_eq!(exception.message.lines().next(), Some("No valid host was found. all full"));
        assert_eq!(exception.kwargs["reason"], "all full");
        assert_eq!(story.services.next()["service"], "scheduler");
    }
    story.nothing_was_left_behind(&client);
}

#[test]
fn a_scheduler_that_says_nothing_is_a_timeout() {
    let story = Story::with_conductor(("long_rpc_timeout = 1800", "long_rpc_timeout = 10"));
    let client = NovaClient::start(&story.vhost.url());
    story.services.behave("silent");
    let exception = client.call(None, &[FIRST]).expect_err("nobody answers");
    assert_eq!(exception.classes[0], "oslo_messaging.rpc.client.RemoteError");
    assert!(exception.message.contains("MessagingTimeout no reply to select_destinations within 10s"), "{exception:?}");
    assert_eq!(story.services.next()["service"], "scheduler");
    story.nothing_was_left_behind(&client);
}

#[test]
fn a_conductor_that_fails_after_its_first_cast_has_none_sent() {
    // The scheduler and one compute, and not the second.
    let mut story = Story::with_conductor(("[limits]", "[limits]\nrpc_requests = 2"));
    let client = NovaClient::start(&story.vhost.url());
    let exception = client.call(None, &[FIRST, SECOND]).expect_err("it may not cast twice");
    assert!(exception.message.contains("more than 2 requests (limits.rpc_requests)"), "{exception:?}");
    assert_eq!(story.services.next()["service"], "scheduler");
    story.host.wait_for_log("its effects are dropped casts=1");
    story.nothing_was_left_behind(&client);
}

#[test]
fn a_conductor_that_traps_after_its_first_cast_has_none_sent() {
    let mut story = Story::with_conductor(("", ""));
    let client = NovaClient::start(&story.vhost.url());
    // What the scheduler says of the second host is more than the handler has memory for, once it is taken apart; the
    // first instance has been sent to its host by then.
    story.services.behave("large");
    let exception = client.call(None, &[FIRST, SECOND]).expect_err("it has not so much memory");
    assert_eq!(exception.classes[0], "oslo_messaging.rpc.client.RemoteError");
    assert!(exception.message.contains("HandlerOutOfMemory"), "{exception:?}");
    assert_eq!(story.services.next()["service"], "scheduler");
    story.host.wait_for_log(&format!("instance {FIRST} goes to host1 (1 of 2)"));
    story.host.wait_for_log("its effects are dropped casts=1");
    assert!(!story.host.log().contains(&format!("instance {SECOND} goes to")));
    story.nothing_was_left_behind(&client);
}

#[test]
fn a_handler_that_traps_after_its_casts_has_none_sent() {
    let asks = |arguments| {
        let method = "build_and_run_instance";
        Asks { broker: None, topic: "compute", method, arguments, server: Some("host1"), timeout_ms: None }
    };
    let grant = b"grants.rpc = [\"compute.build_and_run_instance\"]";
    let better = "grants.rpc = [\"compute/*\"]\n[[endpoint]]\nversion = \"2.0\"";
    let mut story = Story::begin(&[
        ("traps.wasm", &asking(asks(r#"{"n": 1}"#), &format!("{CAST} {CAST} (unreachable)"))),
        ("traps.toml", grant),
        ("works.wasm", &asking(asks(r#"{"n": 2}"#), &format!("{CAST} {ECHO}"))),
        ("works.toml", better.as_bytes()),
    ]);
    let client = OsloClient::start(&story.vhost.url());
    let call = |version: &str| {
        let timeout = PATIENCE.as_secs();
        client.call(json!({"topic": "conductor", "method": "m", "version": version, "timeout": timeout}))
    };
    let trapped = call("1.0").expect_err("it traps").remote.expect("a RemoteError");
    assert_eq!(trapped.exc_type, "HandlerTrapped");
    story.host.wait_for_log("its effects are dropped casts=2");
    call("2.0").expect("it succeeds");
    assert_eq!(story.services.next()["args"], json!({"n": 2}));
}

#[test]
fn a_conductor_that_is_killed_while_the_scheduler_thinks_is_followed_by_another() {
    let mut story = Story::with_conductor(("", ""));
    let client = NovaClient::start(&story.vhost.url());
    story.services.behave("silent");
    client.build(None, &[FIRST]);
    assert_eq!(story.services.next()["service"], "scheduler");
    story.host.kill();
    story.services.behave("choose");
    story.host = serve(&story.vhost, &story.scratch);
    assert_eq!(story.services.next()["service"], "scheduler");
    let told = story.services.next();
    assert_eq!((&told["service"], uuid_of(&told)), (&json!("host1"), FIRST));
    story.nothing_was_left_behind(&client);
}
