//! Guests that leave a request to others.

use super::{tests::invocation, *};
use crate::{
    envelope::{Answer, Text},
    testing::{
        DECLINE, DESCRIBE, ECHO, LOOP, guest, guest_with, load, sandbox, tight,
        typed::{self, component},
    },
};

/// Leaves requests to others where the arguments have as many bytes as `{}`.
const SOME: &str = "(if (i32.eq (local.get 9) (i32.const 2)) (then (call $decline)))";

async fn run_with(component: &[u8]) -> Result<Answer, Fault> {
    load(sandbox(), component, tight()).unwrap().handle(invocation("{}")).await
}

#[tokio::test]
async fn a_declined_request_has_no_answer_whatever_is_returned() {
    let fields = r#"(data (i32.const 2000) "no JSON")"#;
    let with = |tag: u32| {
        format!(
            "(call $decline) (i32.store8 (i32.const 400) (i32.const {tag}))
            (i32.store (i32.const 404) (i32.const 2000)) (i32.store (i32.const 408) (i32.const 7)) (i32.const 400)"
        )
    };
    for handle in [
        DECLINE.to_owned(),
        format!("(call $decline) {ECHO}"),
        format!("(call $decline) (call $decline) {ECHO}"),
        // An answer that is none, and a failure.
        with(0),
        with(1),
    ] {
        let answer = run_with(&guest_with(DESCRIBE, &handle, fields)).await;
        assert_eq!(answer, Err(Fault::Declined), "{handle}");
    }
    assert_eq!(Fault::Declined.to_string(), "the handler declines the request");
}

#[tokio::test]
async fn who_declines_and_then_does_not_answer_is_told_as_such() {
    let trapped = run_with(&guest("(call $decline) (unreachable)")).await;
    assert!(matches!(&trapped, Err(Fault::Trapped { .. })), "{trapped:?}");
    let endless = run_with(&guest(&format!("(call $decline) {LOOP}"))).await;
    assert!(matches!(&endless, Err(Fault::TimedOut { .. })), "{endless:?}");
}

#[tokio::test]
async fn an_instance_that_has_declined_serves_the_next_request() {
    let component = guest(&format!("{SOME} {ECHO}"));
    let program = load(sandbox(), &component, Limits { reuse: 9, ..tight() }).unwrap();
    for arguments in ["{}", r#"{"a": 1}"#, "{}", "{}", r#"{"a": 2}"#] {
        let expected = match arguments {
            "{}" => Err(Fault::Declined),
            echoed => Ok(Answer::Result(Text::parse(echoed.into()).unwrap())),
        };
        assert_eq!(program.handle(invocation(arguments)).await, expected, "{arguments}");
        assert_eq!(program.instances().waiting(|_| true), [true]);
    }
}

#[tokio::test]
async fn there_is_nothing_to_decline_where_nobody_asks() {
    let describe = format!("(call $decline) {DESCRIBE}");
    let program = load(sandbox(), &guest_with(&describe, ECHO, ""), tight()).unwrap();
    assert_eq!(program.describe().await.unwrap().len(), 1);
    assert!(program.handle(invocation("{}")).await.is_ok());
    // Nor where an instance begins, before it has been given the request: that is its request all the same.
    let start = "(func $early (call $decline)) (start $early)";
    let program = load(sandbox(), &guest_with(DESCRIBE, ECHO, start), tight()).unwrap();
    assert_eq!(program.describe().await.unwrap().len(), 1);
    assert_eq!(program.handle(invocation("{}")).await, Err(Fault::Declined));
}

#[tokio::test]
async fn a_typed_handler_declines_with_any_result() {
    let wit = "package acme:test@1.0.0;
        interface api { plain: func() -> u8; fallible: func() -> result<u8, string>; }
        world test { include nova:rpc/imports@0.1.0; export api; }";
    let module = r#"(module
        (import "nova:rpc/request-info@0.1.0" "decline" (func $decline))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "acme:test/api@1.0.0#plain") (result i32) (call $decline) (i32.const 7))
        (func (export "acme:test/api@1.0.0#fallible") (result i32)
            (call $decline) (i32.store8 (i32.const 100) (i32.const 1)) (i32.const 100)))"#;
    let program = typed::load(&component(wit, module)).unwrap();
    for method in ["plain", "fallible"] {
        assert_eq!(typed::answer(&program, method, "{}").await, Err(Fault::Declined), "{method}");
    }
    // What the types do not take never reaches the handler.
    assert_eq!(typed::failure(&program, "plain", r#"{"a": 1}"#).await.class, "TypeError");
}
