//! What a manifest gives and grants, in every language: requests to others, configuration, state; HTTP in
//! `web.rs`.
//!
//! The handlers are the calculators of `handlers/languages/`, and `tests/guests/courier` for Rust; they have the same methods.
//! Whoever asks, the handler asks its own service; over RabbitMQ also services in Python, in `neighbours.rs`.

use serde_json::{Value, json};

use super::{stories::Story, web};
use crate::harness::{Web, eventually};

/// Four of five requests of a handler are sent.
const MANIFEST: &str = r#"
grants.rpc = ["scheduler/*", "compute/*", "conductor/*", "nobody/*"]
grants.keyvalue = true
limits.rpc_requests = 4
limits.timeout = "2m"
[config]
colour = "grün"
token = { value = "in the open", secret = true }
"#;

/// The manifest, with a port of this machine that may be asked over HTTP.
pub(super) fn manifest(port: u16) -> String {
    web::grants(port) + MANIFEST
}

/// More than a page of `list-keys`.
const MANY: usize = 501;

impl Story {
    pub(super) fn tell_granted(self, web: &Web) {
        self.a_call_has_a_result_or_the_others_exception();
        self.what_does_not_reach_anybody_is_an_exception();
        self.many_calls_have_a_result_each();
        self.a_cast_is_sent_when_its_handler_has_succeeded();
        self.values_of_the_manifest_are_text();
        self.state_outlives_a_request();
        self.what_a_handler_sets_and_then_fails_is_not_kept();
        self.a_number_is_added_to_and_a_value_exchanged();
        self.tell_web(web);
    }

    /// A method of the handler's own service.
    fn of_ours(method: &str, arguments: Value) -> Value {
        json!({"target": {"topic": "conductor", "version": "1.3"}, "name": method, "arguments": arguments})
    }

    fn of_topic(topic: &str) -> Value {
        json!({"target": {"topic": topic}, "name": "ping", "arguments": {}})
    }

    fn a_call_has_a_result_or_the_others_exception(&self) {
        assert_eq!(self.gets("ask", Self::of_ours("divide", json!({"a": 1, "b": 4}))), 0.25);
        let raised = self.raises("ask", Self::of_ours("divide", json!({"a": 1, "b": 0})), "ZeroDivisionError");
        assert_eq!(raised.message, "division by zero");
        let missing = || Self::of_ours("not_found", json!({"instance_id": "i-é\"7"}));
        let raised = self.raises("ask", missing(), "InstanceNotFound");
        assert!(raised.message.contains("Instance i-é\"7 could not be found."), "{raised:?}");
        if let Some(kwargs) = raised.kwargs {
            assert_eq!(kwargs, json!({"instance_id": "i-é\"7", "code": 404}));
        }
        let caught = json!(["remote", "nova.exception", "InstanceNotFound", "Instance i-é\"7 could not be found."]);
        assert_eq!(self.gets("ask_kindly", missing()), caught, "{}", self.calculator.name);
    }

    fn what_does_not_reach_anybody_is_an_exception(&self) {
        let raised = self.raises("ask", Self::of_topic("forbidden"), "PermissionError");
        assert_eq!(raised.message, "forbidden/ping is not granted (grants.rpc in the manifest)");
        self.raises("ask", Self::of_topic("nobody"), "MessageDeliveryFailure");
        // What is not caught by name is not caught.
        self.raises("ask_kindly", Self::of_topic("nobody"), "MessageDeliveryFailure");
        let version = json!({"target": {"topic": "nobody", "version": "x"}, "name": "ping", "arguments": {}});
        self.raises("ask", version, "ValueError");
    }

    fn many_calls_have_a_result_each(&self) {
        let ours = json!({"topic": "conductor", "version": "1.3"});
        let calls = json!([
            [ours, {"a": 1, "b": 4}], [ours, {"a": 1, "b": 0}], [{"topic": "nobody"}, {}], [{"topic": "forbidden"}, {}],
            [ours, {"a": 1, "b": 4}],
        ]);
        let answers = json!([0.25, "ZeroDivisionError", "MessageDeliveryFailure", "PermissionError", "RuntimeError"]);
        assert_eq!(self.gets("ask_all", json!({"name": "divide", "calls": calls})), answers);
        assert_eq!(self.gets("ask_all", json!({"name": "divide", "calls": []})), json!([]));
    }

    fn a_cast_is_sent_when_its_handler_has_succeeded(&self) {
        let tell = |delta, then_fail| {
            let mut tell = Self::of_ours("count", json!({"key": "told", "delta": delta}));
            tell["then_fail"] = json!(then_fail);
            tell
        };
        let raised = self.raises("tell", tell(1, true), "ValueError");
        assert_eq!(raised.message, "told, and failed");
        assert_eq!(self.gets("tell", tell(10, false)), Value::Null);
        eventually("the second cast, and not the first", || {
            (self.gets("recall", json!({"key": "told"}))[0] == "10").then_some(())
        });
        self.raises("tell", Self::of_topic("forbidden"), "PermissionError");
    }

    fn values_of_the_manifest_are_text(&self) {
        let setting = |name: &str| self.gets("setting", json!({"name": name}));
        assert_eq!(setting("colour"), json!(["grün", ["colour", "token"]]));
        assert_eq!(setting("token")[0], "in the open");
        assert_eq!(setting("shape")[0], Value::Null);
    }

    fn state_outlives_a_request(&self) {
        let recall = |key: &str| self.gets("recall", json!({"key": key}));
        assert_eq!(self.gets("remember", json!({"key": "ключ", "value": "Grüße 🦀", "ttl": 3600})), true);
        assert_eq!(self.gets("remember", json!({"key": "empty", "value": ""})), true);
        self.gets("remember", json!({"key": "soon", "value": "gone", "ttl": 0.05}));
        eventually("a value to have lasted its time", || recall("soon")[0].is_null().then_some(()));
        assert_eq!(recall("ключ"), json!(["Grüße 🦀", true, ["empty", "told", "ключ"]]), "{}", self.calculator.name);
        let empty = recall("empty");
        assert_eq!((&empty[0], &empty[1]), (&json!(""), &json!(true)));
        self.gets("forget", json!({"key": "empty"}));
        assert_eq!(recall("empty"), json!([null, false, ["told", "ключ"]]));
        let raised = self.raises("remember", json!({"key": "", "value": "x"}), "RuntimeError");
        assert_eq!(raised.message, "a key has 1 to 255 bytes");
        self.gets("fill", json!({"number": MANY}));
        let keys = recall("told")[2].take();
        let keys: Vec<&str> = keys.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(keys.len(), MANY + 2, "{}", self.calculator.name);
        assert_eq!((keys[0], keys[MANY - 1], keys[MANY]), ("00000", "00500", "told"));
    }

    fn what_a_handler_sets_and_then_fails_is_not_kept(&self) {
        let other = json!({"key": "ключ", "value": "other", "then_fail": true});
        self.raises("remember", other, "ValueError");
        assert_eq!(self.gets("recall", json!({"key": "ключ"}))[0], "Grüße 🦀");
    }

    fn a_number_is_added_to_and_a_value_exchanged(&self) {
        let count = |delta: i64| self.gets("count", json!({"key": "number", "delta": delta}));
        assert_eq!((count(5), count(-7), count(2)), (json!(5), json!(-2), json!(0)));
        assert_eq!(count(9_007_199_254_740_991), 9_007_199_254_740_991_i64);
        self.raises("count", json!({"key": "ключ", "delta": 1}), "RuntimeError");
        let exchange = |args: Value| self.gets("exchange", args);
        assert_eq!(exchange(json!({"key": "lock", "next": "a"})), true);
        assert_eq!(exchange(json!({"key": "lock", "next": "b"})), false);
        assert_eq!(exchange(json!({"key": "lock", "current": "a", "next": ""})), true);
        assert_eq!(exchange(json!({"key": "lock", "current": ""})), true);
        assert_eq!(self.gets("recall", json!({"key": "lock"}))[1], false);
    }
}
