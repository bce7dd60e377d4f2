//! Typed handlers: a real oslo.messaging client calls functions of WIT through a real RabbitMQ, with nothing in between
//! but the types.

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, OsloError, Scratch, Serve, Vhost, eventually, handlers};

/// A service with the handler `inventory`, whose exceptions are nova's, and a Python client of it.
struct Story {
    _vhost: Vhost,
    host: Serve,
    client: OsloClient,
    _handlers: Scratch,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let directory = Scratch::new();
        let component = std::fs::read(handlers().join("inventory.wasm")).expect("it was built");
        directory.write("inventory.wasm", component);
        directory.write("inventory.toml", "[errors]\nmodule = \"nova.exception\"\n");
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{}\"\n",
            vhost.url(),
            directory.path().display()
        ));
        let client = OsloClient::allowing(&vhost.url(), &["nova.exception"]);
        Self { _vhost: vhost, host, client, _handlers: directory }
    }

    fn call(&self, method: &str, args: Value) -> Result<Value, Box<OsloError>> {
        self.client.call(json!({"topic": "conductor", "version": "1.1", "method": method, "args": args}))
    }

    fn fails(&self, method: &str, args: Value) -> OsloError {
        match self.call(method, args) {
            Err(error) => *error,
            Ok(value) => panic!("{method} returned {value}"),
        }
    }

    fn audit(&self, method: &str, args: Value, context: Value) -> Result<Value, Box<OsloError>> {
        self.client.call(json!({
            "topic": "conductor", "namespace": "audit_log", "version": "1.2", "method": method, "args": args,
            "context": context,
        }))
    }
}

fn flavor(vcpus: u32) -> Value {
    json!({"name": "m1", "vcpus": vcpus, "memory_mb": 1024, "avoid": [], "needs": ["ssd"]})
}

#[test]
fn a_function_of_wit_is_a_method() {
    let story = Story::begin();
    assert_eq!(
        story.call("add", json!({"a": -1, "b": 9_007_199_254_740_993_i64})).expect("a sum"),
        9_007_199_254_740_992_i64
    );
    let ten = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 0.5, "f": 5, "g": -6, "h": 7, "i": true, "j": 8});
    assert_eq!(story.call("total", ten).expect("a sum"), 25.5);
    let reversed = story.client.call(json!({
        "topic": "conductor", "version": "1.2", "method": "reversed",
        "args_expr": "{'data': __import__('base64').b64encode(b'abc').decode()}",
    }));
    assert_eq!(reversed.expect("bytes"), "Y2Jh");
}

#[test]
fn records_variants_flags_and_options_are_dicts_strings_and_lists() {
    let story = Story::begin();
    let found = story.call("reserve", json!({"flavor": flavor(4)})).expect("room");
    assert_eq!(found, json!([{"host": "n1", "zone": "north", "share": 0.25, "metadata": null}]));
    let mut demanding = flavor(8);
    demanding["metadata"] = json!({"any": ["thing", null]});
    let placement = json!({"zones": ["north", "far_south"]});
    let two = story.call("reserve", json!({"flavor": demanding, "count": 2, "placement": placement})).expect("room");
    assert_eq!(two[1], json!({"host": "n2", "zone": "north", "share": 0.125, "metadata": {"any": ["thing", null]}}));
    let any = json!({"": [1, -0.5, {"k": null}], "text": "häß\n"});
    assert_eq!(story.call("echo", json!({"value": any})).expect("a value"), any);
}

#[test]
fn cases_of_errors_are_exceptions_that_python_raises() {
    let story = Story::begin();
    let gone = story.fails("reserve", json!({"flavor": flavor(1), "placement": {"beside": "i-9"}}));
    assert_eq!((gone.class.as_str(), gone.module.as_str()), ("InstanceNotFound_Remote", "nova.exception_Remote"));
    assert_eq!(gone.kwargs["instance_id"], "i-9");
    let full = story.fails("reserve", json!({"flavor": flavor(1000)}));
    assert_eq!((full.class.as_str(), full.module.as_str()), ("NoValidHost_Remote", "nova.exception_Remote"));
    assert!(full.text.starts_with("No valid host was found. 0 of 1 fit."), "{}", full.text);
}

#[test]
fn wrong_arguments_are_pythons_type_error() {
    let story = Story::begin();
    for (method, args, expected) in [
        ("add", json!({"a": 1}), "Api.add() missing 1 required positional argument: 'b'"),
        ("add", json!({"a": 1, "b": 2, "c": 3}), "Api.add() got an unexpected keyword argument 'c'"),
        (
            "reserve",
            json!({"flavor": {"name": 1}}),
            "Api.reserve() argument 'flavor.name' must be a string, not an integer",
        ),
        (
            "reserve",
            json!({"flavor": flavor(1), "placement": "nowhere"}),
            "Api.reserve() argument 'placement' must be one of 'anywhere', 'beside', and 'zones'",
        ),
    ] {
        let failure = story.fails(method, args);
        assert_eq!((failure.class.as_str(), failure.module.as_str()), ("TypeError", "builtins"));
        assert!(failure.text.starts_with(expected), "{}", failure.text);
    }
}

#[test]
fn namespaces_and_versions_follow_the_rule() {
    let story = Story::begin();
    let context = json!({"user_id": "ada", "auth_token": "secret-token"});
    assert_eq!(story.audit("user", json!({}), context).expect("a user"), "ada");
    let nobody = story.audit("user", json!({}), json!({})).expect_err("nobody");
    assert!(nobody.class.starts_with("RuntimeError") && nobody.text.starts_with("nobody asks"), "{nobody:?}");
    let later = json!({"topic": "conductor", "version": "1.3", "method": "add", "args": {"a": 1, "b": 2}});
    let refused = story.client.call(later).expect_err("1.2 is what is served").remote.expect("a RemoteError");
    assert_eq!(refused.exc_type, "UnsupportedVersion");
    let missing = story.fails("user", json!({})).remote.expect("a RemoteError");
    assert_eq!(missing.exc_type, "NoSuchMethod");
    assert!(!story.host.log().contains("secret-token"));
}

#[test]
fn a_cast_runs_and_a_panic_is_answered() {
    let story = Story::begin();
    let cast = json!({"topic": "conductor", "namespace": "audit_log", "version": "1.0", "method": "note",
                      "args": {"line": "written by a cast"}});
    story.client.cast(cast).expect("the broker has it");
    eventually("the handler's line", || story.host.log().contains("written by a cast").then_some(()));
    let trapped = story.audit("fail", json!({}), json!({})).expect_err("it panics").remote.expect("a RemoteError");
    assert_eq!(
        (trapped.exc_type.as_str(), &trapped.value),
        ("HandlerTrapped", &json!("the handler trapped: asked to"))
    );
}
