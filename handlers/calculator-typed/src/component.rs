//! The interface of `wit/calculator.wit`, as wit-bindgen wants it.

#![allow(missing_docs, unsafe_code, reason = "most of it is generated, and documented in WIT")]
#![expect(clippy::panic, reason = "that is what one of the methods is for")]

wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "acme:calculator/calculator", generate_all });

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use self::{
    exports::acme::calculator::api::{Guest, JsonValue, Missing, Problem},
    nova::rpc::{log, request_info, trace},
};

struct Calculator;

export!(Calculator);

impl Guest for Calculator {
    fn add(a: i64, b: i64) -> Result<i64, Problem> {
        a.checked_add(b).ok_or_else(|| Problem::OverflowError("integer overflow".into()))
    }

    fn divide(a: f64, b: f64) -> Result<f64, Problem> {
        if b == 0.0 { Err(Problem::ZeroDivisionError("division by zero".into())) } else { Ok(a / b) }
    }

    fn echo(value: JsonValue) -> JsonValue {
        value
    }

    fn concat(texts: Vec<String>, separator: Option<String>) -> String {
        texts.join(&separator.unwrap_or_default())
    }

    fn blob(size: u32) -> String {
        "x".repeat(size as usize)
    }

    fn not_found(instance_id: String) -> Result<(), Problem> {
        let message = format!("Instance {instance_id} could not be found.");
        Err(Problem::InstanceNotFound(Missing { message, instance_id, code: 404 }))
    }

    fn context() -> JsonValue {
        JsonValue { json_text: request_info::context() }
    }

    fn log(message: String) {
        log::write(log::Level::Info, &message);
    }

    fn panic(message: String) {
        log::panicking(&message);
        panic!("{message}");
    }

    fn loop_forever() {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    fn allocate(mib: u32) -> u64 {
        let block = black_box(vec![1_u8; (mib as usize) << 20]);
        block.len() as u64
    }

    fn object_action(objmethod: String) -> String {
        if objmethod == "save" {
            "saved".into()
        } else {
            request_info::decline();
            String::new()
        }
    }

    fn mark(step: String) -> bool {
        use trace::Value;

        trace::set_attribute("calc.step", &Value::Text(step.clone()));
        trace::set_attribute("calc.count", &Value::Integer(3));
        trace::set_attribute("calc.share", &Value::Number(0.5));
        trace::set_attribute("calc.done", &Value::Truth(true));
        let of = |key: &str, value| trace::Attribute { key: key.to_owned(), value };
        trace::add_event("step done", &[of("calc.count", Value::Integer(3)), of("calc.step", Value::Text(step))]);
        trace::is_recording()
    }

    fn calls() -> u64 {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    }
}
