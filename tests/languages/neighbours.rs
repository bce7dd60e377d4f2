//! A handler in any language between a client and services that are real oslo.messaging: those of
//! `tests/oslo/services.py`.

use serde_json::{Value, json};

use super::{Calculator, callers::Oslo, granted::manifest};
use crate::harness::{OsloClient, OsloError, PATIENCE, Services, Vhost, eventually};

/// A service with the handler, the services that it asks, and a client.
struct Story {
    client: OsloClient,
    services: Services,
    oslo: Oslo,
}

/// Tells all of it.
pub(super) fn are_asked_and_told(calculator: &Calculator) {
    let oslo = Oslo::granting(calculator, &manifest(1));
    let services = Services::start(&oslo.vhost().url());
    let client = OsloClient::allowing(&oslo.vhost().url(), &["nova.exception"]);
    let story = Story { client, services, oslo };
    story.a_service_answers_and_sees_the_context();
    story.its_exception_reaches_the_client_unchanged();
    story.one_that_is_silent_is_a_timeout();
    story.casts_of_a_handler_that_fails_are_not_sent();
    story.a_request_carries_what_the_target_says();
}

impl Story {
    fn request(&self, method: &str, args: Value) -> Value {
        json!({
            "topic": "conductor", "version": "1.3", "method": method, "args": args, "timeout": PATIENCE.as_secs(),
            "context": {"user_id": "ü-1"},
        })
    }

    fn call(&self, method: &str, args: Value) -> Result<Value, Box<OsloError>> {
        self.client.call(self.request(method, args))
    }

    fn select(&self, method: &str, timeout: Option<u32>) -> Result<Value, Box<OsloError>> {
        let mut target = json!({"topic": "scheduler", "version": "4.5"});
        if let Some(timeout) = timeout {
            target["timeout"] = json!(timeout);
        }
        let arguments = json!({"request_spec": {"num_instances": 2}});
        let result =
            self.call(method, json!({"target": target, "name": "select_destinations", "arguments": arguments}));
        let asked = self.services.next();
        assert_eq!((&asked["service"], &asked["method"]), (&json!("scheduler"), &json!("select_destinations")));
        assert_eq!(asked["args"]["request_spec"], json!({"num_instances": 2}));
        assert_eq!(asked["context"]["user_id"], "ü-1");
        result
    }

    fn a_service_answers_and_sees_the_context(&self) {
        let hosts = self.select("ask", None).expect("two hosts");
        assert_eq!((&hosts[0]["host"], &hosts[1]["host"]), (&json!("host1"), &json!("host2")));
    }

    fn its_exception_reaches_the_client_unchanged(&self) {
        self.services.behave("none");
        let raised = self.select("ask", None).expect_err("there is no host");
        assert_eq!((raised.class.as_str(), raised.module.as_str()), ("NoValidHost_Remote", "nova.exception_Remote"));
        assert_eq!(raised.kwargs["reason"], "all full");
        // oslo.messaging appends the traceback: the scheduler's, not the handler's.
        assert!(raised.text.starts_with("No valid host was found. all full"), "{raised:?}");
        assert!(raised.text.contains("in select_destinations"), "{raised:?}");
        let caught = self.select("ask_kindly", None).expect("it is caught");
        assert_eq!(caught, json!(["remote", "nova.exception", "NoValidHost", "No valid host was found. all full"]));
    }

    fn one_that_is_silent_is_a_timeout(&self) {
        self.services.behave("silent");
        let raised = self.select("ask", Some(3)).expect_err("nobody answers").remote.expect("a RemoteError");
        assert_eq!(raised.exc_type, "MessagingTimeout");
        assert_eq!(raised.value, "no reply to select_destinations within 3s");
        let caught = self.select("ask_kindly", Some(3)).expect("it is caught");
        assert_eq!(caught, json!(["timed out", "no reply to select_destinations within 3s"]));
    }

    fn casts_of_a_handler_that_fails_are_not_sent(&self) {
        let tell = |number: u32, more: Value| {
            let mut args = json!({
                "target": {"topic": "compute", "server": "host2", "version": "6.0"},
                "name": "build_and_run_instance", "arguments": {"number": number},
            });
            more.as_object().into_iter().flatten().for_each(|(name, value)| args[name] = value.clone());
            self.call("tell", args)
        };
        tell(1, json!({"then_fail": true})).expect_err("it fails");
        tell(2, json!({})).expect("it succeeds");
        let told = self.services.next();
        assert_eq!((&told["service"], &told["args"]["number"]), (&json!("host2"), &json!(2)));
        assert_eq!(told["version"], "6.4");
        tell(3, json!({"everybody": true})).expect("it succeeds");
        let mut told = [self.services.next(), self.services.next()].map(|told| told["service"].to_string());
        told.sort();
        assert_eq!(told, ["\"host1\"", "\"host2\""]);
    }

    /// To a queue of which nobody takes anything.
    fn a_request_carries_what_the_target_says(&self) {
        let vhost: &Vhost = self.oslo.vhost();
        vhost.declare_queue("watched", &json!({}));
        vhost.bind("nova", "watched", "nobody.far");
        let target = json!({
            "topic": "nobody", "server": "far", "namespace": "n", "version": "2.7", "timeout": 50.5, "monitor": 3,
        });
        let ask = json!({"target": target, "name": "ping", "arguments": {"a": [1, "é"]}});
        let call = self.client.start_call(self.request("ask", ask));
        let message = eventually("the request", || vhost.take("watched", 1).pop());
        // How long the caller waits is how long the broker keeps it.
        assert_eq!(message.properties["expiration"], "50500");
        let outer: Value = serde_json::from_slice(&message.body).expect("it is JSON");
        let request: Value = serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("it is JSON");
        let expected =
            json!({"method": "ping", "namespace": "n", "version": "2.7", "args": {"a": [1, "é"]}, "_timeout": 3});
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(request[name], *value, "{name}");
        }
        // Without a heartbeat nobody waits as long.
        let silence = "no heartbeat for ping within 3s: its server has died, or it sends none";
        let raised = call.wait().outcome.expect_err("nobody answers").remote.expect("a RemoteError");
        assert_eq!((raised.exc_type.as_str(), &raised.value), ("MessagingTimeout", &json!(silence)));
    }
}
