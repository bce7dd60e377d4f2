//! Who is asked, and what is refused: versions, namespaces, methods and arguments, in the reference's words.

use serde_json::{Value, json};

use super::Wire;

const DISPATCHER: &str = "oslo_messaging.rpc.dispatcher";

#[test]
fn a_version_is_served_or_refused_by_the_references_rule() {
    let wire = Wire::begin();
    // `statistics` is implemented in 2.1.
    let ask = |version: Value| {
        let mut message = json!({"method": "served_by", "namespace": "statistics", "args": {}});
        if version != "absent" {
            message["version"] = version;
        }
        match wire.call(message) {
            Ok(served_by) => served_by.as_str().expect("text").to_owned(),
            Err(failure) => {
                format!("{}: {}", failure["class"].as_str().expect("text"), failure["message"].as_str().expect("text"))
            }
        }
    };
    for served in ["2.0", "2.1", "2.1.0", "2.0.7", "2.1.0.9", " 2.0 ", "+2.0", "2.-1"] {
        assert_eq!(ask(json!(served)), "statistics 2.1", "{served}");
    }
    let unsupported = |version: &str| {
        format!("UnsupportedVersion: Endpoint does not support RPC version {version}. Attempted method: served_by")
    };
    for refused in ["2.2", "2.1.1", "3.0", "1.9", "0.1"] {
        assert_eq!(ask(json!(refused)), unsupported(refused));
    }
    // Absent is 1.0, and null is nothing at all.
    assert_eq!(ask(json!("absent")), unsupported("1.0"));
    assert_eq!(ask(json!(null)), unsupported("None"));
    for (malformed, expected) in [
        (json!("2"), "IndexError: list index out of range"),
        (json!("a.b"), "ValueError: invalid literal for int() with base 10: 'a'"),
        (json!(""), "ValueError: invalid literal for int() with base 10: ''"),
        (json!(2.1), "AttributeError: 'float' object has no attribute 'split'"),
        (json!(2), "AttributeError: 'int' object has no attribute 'split'"),
        (json!(["2.1"]), "AttributeError: 'list' object has no attribute 'split'"),
    ] {
        assert_eq!(ask(malformed), expected);
    }
    // Where nobody has the namespace, the version is not read.
    let nowhere =
        wire.call(json!({"method": "m", "namespace": "nowhere", "version": "a.b"})).expect_err("it is refused");
    assert_eq!(nowhere["message"], "Endpoint does not support RPC version a.b. Attempted method: m");
}

#[test]
fn several_versions_of_an_endpoint_live_side_by_side() {
    let wire = Wire::begin();
    for (version, served_by) in [("1.0", "1.3"), ("1.3", "1.3"), ("2.0", "2.0")] {
        let answer = wire.call(json!({"method": "served_by", "version": version, "args": {}})).expect("a result");
        assert_eq!(answer, served_by, "{version}");
    }
}

/// A failure as one line: `module.Class: message`, checked to have its message as its argument.
fn told(failure: &Value) -> String {
    assert_eq!(failure["args"], json!([failure["message"]]), "{failure}");
    assert_eq!(failure["kwargs"], json!({}), "{failure}");
    let text = |key: &str| failure[key].as_str().expect("text").to_owned();
    format!("{}.{}: {}", text("module"), text("class"), text("message"))
}

#[test]
fn every_refusal_is_the_references_in_module_class_message_and_arguments() {
    let wire = Wire::begin();
    let no_such = |method: &str| format!("{DISPATCHER}.NoSuchMethod: Endpoint does not support RPC method {method}");
    let unsupported = |version: &str, method: &str| {
        format!(
            "{DISPATCHER}.UnsupportedVersion: Endpoint does not support RPC version {version}. Attempted method: {method}"
        )
    };
    let builtin = |text: &str| format!("builtins.{text}");
    for (message, expected) in [
        (json!({"method": "nope"}), no_such("nope")),
        (json!({"method": ""}), no_such("")),
        (json!({"method": "_private"}), no_such("_private")),
        (json!({"method": "__init__"}), no_such("__init__")),
        (json!({"method": "check_ignore_errors"}), no_such("check_ignore_errors")),
        // What every Python endpoint has and nobody may call; with us it is a name like any other.
        (json!({"method": "target"}), no_such("target")),
        (json!({"method": "a b\u{e9}\"'"}), no_such("a b\u{e9}\"'")),
        // An endpoint of the version that lacks the method, and one of another version that has it.
        (json!({"method": "add", "version": "1.50"}), no_such("add")),
        (json!({"method": "add", "version": "1.99"}), unsupported("1.99", "add")),
        (json!({"method": "add", "version": "7.0"}), unsupported("7.0", "add")),
        (json!({"method": "add", "version": null}), unsupported("None", "add")),
        (json!({"method": "add", "namespace": "nowhere"}), unsupported("1.0", "add")),
        (json!({"method": "add", "namespace": ""}), unsupported("1.0", "add")),
        (json!({"args": {}}), builtin("TypeError: attribute name must be string, not 'NoneType'")),
        (json!({"method": null}), builtin("TypeError: attribute name must be string, not 'NoneType'")),
        (json!({"method": 7}), builtin("TypeError: attribute name must be string, not 'int'")),
        (json!({"method": ["add"]}), builtin("TypeError: attribute name must be string, not 'list'")),
        (json!({"method": "add", "args": null}), builtin("AttributeError: 'NoneType' object has no attribute 'items'")),
        (json!({"method": "add", "args": []}), builtin("AttributeError: 'list' object has no attribute 'items'")),
        (json!({"method": "add", "args": "a"}), builtin("AttributeError: 'str' object has no attribute 'items'")),
        (
            json!({"method": "add", "args": {"a": 1, "b": 2, "c": 3}}),
            builtin("TypeError: Calculator.add() got an unexpected keyword argument 'c'"),
        ),
        (
            json!({"method": "add", "args": {"a": 1, "b": 2, "a b": 3}}),
            builtin("TypeError: Calculator.add() got an unexpected keyword argument 'a b'"),
        ),
        (
            json!({"method": "add", "args": {"a": 1, "b": 2, "ctxt": 3}}),
            builtin("TypeError: Calculator.add() got multiple values for argument 'ctxt'"),
        ),
        (
            json!({"method": "add", "args": {"a": 1, "b": 2, "self": 3}}),
            builtin("TypeError: Calculator.add() got multiple values for argument 'self'"),
        ),
        (
            json!({"method": "add", "args": {"a": 1}}),
            builtin("TypeError: Calculator.add() missing 1 required positional argument: 'b'"),
        ),
        (
            json!({"method": "add"}),
            builtin("TypeError: Calculator.add() missing 2 required positional arguments: 'a' and 'b'"),
        ),
    ] {
        let failure = wire.call(message.clone()).expect_err("it is refused");
        assert_eq!(told(&failure), expected, "{message}");
    }
}

#[test]
fn a_cast_that_is_refused_is_only_logged() {
    let mut wire = Wire::begin();
    wire.send(&json!({"method": "nope", "args": {}}));
    wire.host.wait_for_log("Endpoint does not support RPC method nope");
    wire.settled();
    assert_eq!(wire.call(json!({"method": "add", "args": {"a": 1, "b": 2}})).expect("a result"), 3);
}
