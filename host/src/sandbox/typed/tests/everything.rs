//! Every type through a real guest and back, and every kind of error.

use serde_json::{Value, json};

use crate::{
    envelope::Answer,
    sandbox::Fault,
    testing::typed::{answer, component, failure, load},
};

const EVERYTHING: &str = r#"
    package test:every@0.3.0;
    interface api {
        use nova:rpc/types@0.1.0.{json-value};
        record point { x: s32, y-axis: option<s32> }
        variant shape { none, dot(point), text(string) }
        enum color { red, dark-blue }
        flags access { read, write-all, x }
        record everything {
            %bool: bool, %s8: s8, %u8: u8, %s16: s16, %u16: u16, %s32: s32, %u32: u32, %s64: s64, %u64: u64,
            %f32: f32, %f64: f64, %char: char, %string: string,
            bytes: list<u8>, words: list<string>, pair: tuple<s32, string>,
            maybe: option<u32>, twice: option<option<u32>>, shapes: list<shape>, color: color, access: access,
            outcome: result<u32, string>, ended: result, by-name: map<string, point>, by-number: map<s16, bool>,
            extra: json-value, more: option<json-value>, deep: list<option<list<tuple<point, color>>>>,
        }
        echo: func(it: everything) -> everything;
    }
    world test { export api; }
"#;

/// A record of more than 16 words comes as a pointer and goes as one: what returns its parameter is an echo.
const ECHO: &str = r#"(module (memory (export "memory") 1) (global $free (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "test:every/api@0.3.0#echo") (param i32) (result i32) local.get 0))"#;

fn everything() -> Value {
    json!({
        "bool": true, "s8": -128, "u8": 255, "s16": -32768, "u16": 65535, "s32": i32::MIN, "u32": u32::MAX,
        "s64": i64::MIN, "u64": u64::MAX, "f32": 0.1, "f64": -0.1, "char": "\u{1F600}", "string": "häß\n\u{1}\"\\",
        "bytes": "AAECAw==", "words": ["", "a"], "pair": [-1, "x"], "maybe": 0, "twice": {"some": 7},
        "shapes": ["none", {"dot": {"x": 1, "y_axis": null}}, {"text": "t"}], "color": "dark_blue",
        "access": ["read", "x"], "outcome": {"err": "no"}, "ended": {"ok": null},
        "by_name": {"a b": {"x": 1, "y_axis": 2}}, "by_number": {"-7": true, "0": false},
        "extra": {"any": [1, null, 1.5]}, "more": {"a": 1}, "deep": [null, [[{"x": 0, "y_axis": null}, "red"]]],
    })
}

async fn echo(it: &str) -> Result<String, Fault> {
    let program = load(&component(EVERYTHING, ECHO)).unwrap();
    match answer(&program, "echo", &format!(r#"{{"it": {it}}}"#)).await? {
        Answer::Result(text) => Ok(text.get().to_owned()),
        Answer::Failure(failure) => panic!("{failure}"),
    }
}

async fn echoed(change: impl FnOnce(&mut Value)) -> Value {
    let mut it = everything();
    change(&mut it);
    serde_json::from_str(&echo(&it.to_string()).await.unwrap()).unwrap()
}

#[tokio::test]
async fn every_type_passes_through_a_guest_and_back() {
    assert_eq!(echoed(|_| {}).await, everything());
}

#[tokio::test]
async fn what_may_be_written_in_several_ways_comes_back_in_one() {
    let back = echoed(|it| {
        it["bytes"] = json!([0, 1, 2, 3]);
        it["f64"] = json!(1);
        it["maybe"] = json!(null);
        it["twice"] = json!({"some": null});
        it["access"] = json!(["x", "read", "x"]);
        it.as_object_mut().unwrap().remove("more");
    });
    let back = back.await;
    assert_eq!(back["bytes"], "AAECAw==");
    assert_eq!(back["f64"].to_string(), "1.0");
    assert_eq!((&back["maybe"], &back["twice"], &back["more"]), (&json!(null), &json!({"some": null}), &json!(null)));
    assert_eq!(back["access"], json!(["read", "x"]));
}

#[tokio::test]
async fn any_json_passes_to_the_letter() {
    let extra = r#"{"b" : 1e400,"b":123456789012345678901234567890, "s":"\ud800" }"#;
    let it = everything().to_string().replace(r#"{"any":[1,null,1.5]}"#, extra);
    assert!(echo(&it).await.unwrap().contains(&format!(r#""extra": {extra}, "#)));
}

#[tokio::test]
async fn floats_that_json_has_not_pass_as_the_envelope_writes_them() {
    let it = everything().to_string();
    for (float, back) in
        [("1e999", "1e999"), ("-1e999", "-1e999"), ("null", "null"), ("1E-5", "1e-5"), ("5e-324", "5e-324")]
    {
        let it = it.replace("\"f64\":-0.1", &format!("\"f64\":{float}"));
        assert!(echo(&it).await.unwrap().contains(&format!("\"f64\": {back}, ")), "{float}");
    }
}

/// One function for each kind of error; the results lie in memory, where the functions point.
const ERRORS: &str = r#"
    package test:errors@1.0.0;
    interface api {
        use nova:rpc/types@0.1.0.{failure, json-value};
        enum kind { not-found, value-error }
        record missing-data { instance-id: string, code: u32 }
        record told-data { message: string, code: u32 }
        variant problem { gone, missing(missing-data), told(told-data), plain(string), listed(list<u16>) }
        by-nothing: func() -> result<u32>;
        by-text: func() -> result<u32, string>;
        by-enum: func() -> result<_, kind>;
        by-failure: func() -> result<u32, failure>;
        gone: func() -> result<u32, problem>;
        missing: func() -> result<u32, problem>;
        told: func() -> result<u32, problem>;
        plain: func() -> result<u32, problem>;
        listed: func() -> result<u32, problem>;
        fine: func() -> result<_, kind>;
        no-json: func() -> json-value;
    }
    world test { export api; }
"#;

/// `(function, where its result lies)`, then what lies where.
fn errors() -> Vec<u8> {
    let at = [
        ("by-nothing", 100),
        ("by-text", 120),
        ("by-enum", 140),
        ("by-failure", 160),
        ("gone", 260),
        ("missing", 300),
        ("told", 340),
        ("plain", 380),
        ("listed", 420),
        ("fine", 460),
        ("no-json", 480),
    ];
    let functions: String = at
        .iter()
        .map(|(name, at)| format!(r#"(func (export "test:errors/api@1.0.0#{name}") (result i32) i32.const {at})"#))
        .collect();
    let module = format!(
        r#"(module (memory (export "memory") 1) {functions}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (data (i32.const 1000) "boom" "nova.exception" "InstanceNotFound" "[7]{{}}" "\00\07\00\09\00")
            (data (i32.const 100) "\01")
            (data (i32.const 120) "\01\00\00\00\e8\03\00\00\04\00\00\00")
            (data (i32.const 140) "\01\01")
            (data (i32.const 160) "\01\00\00\00\fa\03\00\00\10\00\00\00\ec\03\00\00\0e\00\00\00\e8\03\00\00\04\00\00\00\0a\04\00\00\03\00\00\00\0d\04\00\00\02\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 260) "\01\00\00\00\00")
            (data (i32.const 300) "\01\00\00\00\01\00\00\00\e8\03\00\00\04\00\00\00\94\01\00\00")
            (data (i32.const 340) "\01\00\00\00\02\00\00\00\e8\03\00\00\04\00\00\00\94\01\00\00")
            (data (i32.const 380) "\01\00\00\00\03\00\00\00\e8\03\00\00\04\00\00\00")
            (data (i32.const 420) "\01\00\00\00\04\00\00\00\10\04\00\00\02\00\00\00")
            (data (i32.const 480) "\e8\03\00\00\04\00\00\00"))"#
    );
    component(ERRORS, &module)
}

#[tokio::test]
async fn every_kind_of_error_is_an_exception() {
    let program = load(&errors()).unwrap().raising_in(Some("nova.exception".into()));
    for (method, told, args, kwargs) in [
        ("by_nothing", "RuntimeError: Api.by_nothing() failed", r#"["Api.by_nothing() failed"]"#, "{}"),
        ("by_text", "RuntimeError: boom", r#"["boom"]"#, "{}"),
        ("by_enum", "nova.exception.ValueError: value error", "[]", "{}"),
        ("by_failure", "nova.exception.InstanceNotFound: boom", "[7]", "{}"),
        ("gone", "nova.exception.Gone: gone", "[]", "{}"),
        ("missing", "nova.exception.Missing: missing", "[]", r#"{"instance_id": "boom", "code": 404}"#),
        ("told", "nova.exception.Told: boom", r#"["boom"]"#, r#"{"code": 404}"#),
        ("plain", "nova.exception.Plain: boom", r#"["boom"]"#, "{}"),
        ("listed", "nova.exception.Listed: listed: [7, 9]", "[[7, 9]]", "{}"),
    ] {
        let failure = failure(&program, method, "{}").await;
        assert_eq!(
            (failure.to_string().as_str(), failure.args.get(), failure.kwargs.get()),
            (told, args, kwargs),
            "{method}"
        );
    }
    let plain = load(&errors()).unwrap();
    assert_eq!(failure(&plain, "by_enum", "{}").await.module, "builtins");
    let Answer::Result(null) = answer(&program, "fine", "{}").await.unwrap() else { panic!("a failure") };
    assert_eq!(null.get(), "null");
}

#[tokio::test]
async fn a_json_value_that_is_none_is_no_result() {
    let fault = answer(&load(&errors()).unwrap(), "no_json", "{}").await.unwrap_err();
    assert!(matches!(&fault, Fault::InvalidResult { reason } if reason.starts_with("is not JSON")), "{fault:?}");
}
