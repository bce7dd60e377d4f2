//! Typed handlers of a few lines: what they offer, what their callers' mistakes cost, how they fail.

mod bounds;
mod cost;
mod everything;
mod round_trips;

use super::*;
use crate::{
    sandbox::Program,
    settings::Bytes,
    testing::{
        sandbox, tight,
        typed::{answer, component, failure, invocation, load, types_only},
    },
};

/// The interfaces of most tests here; none of its functions is ever run.
const SHOP: &str = r#"
    package acme:shop@1.5.2;
    interface api {
        record size { width: u32, height: option<u32> }
        enum color { red, dark-blue }
        variant shape { dot, circle(f64), box(size) }
        flags access { read, write-all }
        add: func(a: s64, b: s64) -> s64;
        none: func();
        paint: func(shape: shape, colors: list<color>, access: access, note: option<string>) -> size;
        store: func(data: list<u8>, pair: tuple<u8, char>, deep: list<option<size>>, outcome: result<u8, string>);
        table: func(by-name: map<string, size>, by-number: map<u8, bool>);
        scale: func(by: f32, twice: option<option<u8>>);
    }
    interface compute-task { build-instances: func(count: u32) -> result<list<string>, string>; }
    world test { export api; export compute-task; }
"#;

fn shop() -> Program {
    load(&types_only(SHOP)).unwrap()
}

fn refused(component: &[u8]) -> String {
    load(component).unwrap_err().to_string()
}

/// What a call of SHOP's `api` with wrong arguments is told.
async fn told(program: &Program, method: &str, arguments: &str) -> String {
    failure(program, method, arguments).await.to_string()
}

#[tokio::test]
async fn what_is_exported_is_what_is_offered() {
    let offers = shop().describe().await.unwrap();
    let offer = |namespace: Option<&str>, methods: &[&str]| EndpointOffer {
        namespace: namespace.map(str::to_owned),
        version: "1.5".into(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
    };
    let api = ["add", "none", "paint", "scale", "store", "table"];
    assert_eq!(offers, [offer(None, &api), offer(Some("compute_task"), &["build_instances"])]);
}

#[tokio::test]
async fn versions_of_a_package_live_side_by_side_in_one_component() {
    let old = "package acme:shop@1.0.0 { interface api { a: func(); } }";
    let new = "package acme:shop@2.3.4 { interface api { b: func(); } }";
    let world =
        "package test:test; world test { export acme:shop/api@1.0.0; export acme:shop/api@2.3.4; export run: func(); }";
    let program = load(&types_only(&format!("{world}\n{old}\n{new}"))).unwrap();
    let offers = program.describe().await.unwrap();
    let offers: Vec<_> = offers.iter().map(|offer| (offer.version.as_str(), offer.methods.join(","))).collect();
    assert_eq!(offers, [("1.0", "a".to_owned()), ("2.3", "b".to_owned())]);
}

#[tokio::test]
async fn wrong_names_are_told_as_python_tells_them() {
    let shop = shop();
    for (method, arguments, expected) in [
        ("add", r#"{"a": 1}"#, "TypeError: Api.add() missing 1 required positional argument: 'b'"),
        ("add", r#"{}"#, "TypeError: Api.add() missing 2 required positional arguments: 'a' and 'b'"),
        (
            "paint",
            r#"{"note": 1}"#,
            "TypeError: Api.paint() missing 3 required positional arguments: 'shape', 'colors', and 'access'",
        ),
        ("add", r#"{"a": "x", "c": 3}"#, "TypeError: Api.add() got an unexpected keyword argument 'c'"),
        ("add", r#"{"ctxt": 1}"#, "TypeError: Api.add() got multiple values for argument 'ctxt'"),
        ("none", r#"{"x": 1}"#, "TypeError: Api.none() got an unexpected keyword argument 'x'"),
    ] {
        assert_eq!(told(&shop, method, arguments).await, expected, "{arguments}");
    }
    let text = failure(&shop, "second.build_instances", "{}").await.to_string();
    assert_eq!(text, "TypeError: ComputeTask.build_instances() missing 1 required positional argument: 'count'");
}

#[tokio::test]
async fn wrong_values_are_told_with_their_path_and_without_the_value() {
    let shop = shop();
    let paint = r#""colors": [], "access": []"#;
    let store = r#""data": "", "pair": [1, "x"], "outcome": {"ok": 1}"#;
    for (method, arguments, expected) in [
        ("add", r#"{"a": "secret", "b": 1}"#.to_owned(), "'a' must be an integer, not a string"),
        ("add", r#"{"a": 1.5, "b": 1}"#.to_owned(), "'a' must be an integer, not a float"),
        ("add", r#"{"a": 9223372036854775808, "b": 1}"#.to_owned(), "'a' does not fit s64"),
        ("add", r#"{"a": 1, "b": 99999999999999999999}"#.to_owned(), "'b' does not fit s64"),
        ("add", r#"{"a": 1, "b": 1e999}"#.to_owned(), "'b' is too large a number"),
        ("add", r#"{"a": true, "b": null}"#.to_owned(), "'a' must be an integer, not a boolean"),
        (
            "paint",
            r#"{"shape": "dot", "colors": ["red", "blue"], "access": []}"#.to_owned(),
            "'colors[1]' must be one of 'red' and 'dark_blue'",
        ),
        ("paint", format!(r#"{{"shape": {{"box": {{"width": -1}}}}, {paint}}}"#), "'shape.box.width' does not fit u32"),
        (
            "paint",
            format!(r#"{{"shape": {{"box": {{"x": 1}}}}, {paint}}}"#),
            "'shape.box' has an unexpected member 'x'",
        ),
        ("paint", format!(r#"{{"shape": {{"box": {{}}}}, {paint}}}"#), "'shape.box' has no 'width'"),
        ("paint", format!(r#"{{"shape": "circle", {paint}}}"#), "'shape' must give the case a value: {\"circle\": …}"),
        (
            "paint",
            format!(r#"{{"shape": {{"dot": 1}}, {paint}}}"#),
            "'shape' must be \"dot\" alone: the case has no value",
        ),
        ("paint", format!(r#"{{"shape": {{}}, {paint}}}"#), "'shape' must have exactly one member, the name of a case"),
        (
            "paint",
            format!(r#"{{"shape": {{"circle": 1, "dot": 1}}, {paint}}}"#),
            "'shape' must have exactly one member, the name of a case",
        ),
        ("paint", format!(r#"{{"shape": "round", {paint}}}"#), "'shape' must be one of 'dot', 'circle', and 'box'"),
        (
            "paint",
            r#"{"shape": "dot", "colors": [], "access": ["read", "x"]}"#.to_owned(),
            "'access' must hold only 'read' and 'write_all'",
        ),
        (
            "paint",
            r#"{"shape": "dot", "colors": [], "access": [1]}"#.to_owned(),
            "'access' must hold only 'read' and 'write_all'",
        ),
        ("paint", format!(r#"{{"shape": "dot", {paint}, "note": "\ud800"}}"#), "'note' is not valid Unicode"),
        (
            "store",
            format!(r#"{{{store}, "deep": [null, {{"width": 1, "height": "x"}}]}}"#),
            "'deep[1].height' must be an integer, not a string",
        ),
        (
            "store",
            r#"{"data": "?", "pair": [1, "x"], "deep": [], "outcome": {"ok": 1}}"#.to_owned(),
            "'data' must be base64 text",
        ),
        (
            "store",
            r#"{"data": [1, 256], "pair": [1, "x"], "deep": [], "outcome": {"ok": 1}}"#.to_owned(),
            "'data[1]' does not fit u8",
        ),
        (
            "store",
            r#"{"data": "", "pair": [1], "deep": [], "outcome": {"ok": 1}}"#.to_owned(),
            "'pair' must be a list of 2 items, not of 1",
        ),
        (
            "store",
            r#"{"data": "", "pair": [1, "x", 2], "deep": [], "outcome": {"ok": 1}}"#.to_owned(),
            "'pair' must be a list of 2 items, not of more",
        ),
        (
            "store",
            r#"{"data": "", "pair": [1, "xy"], "deep": [], "outcome": {"ok": 1}}"#.to_owned(),
            "'pair[1]' must be a string of one character, not several characters or none",
        ),
        (
            "store",
            r#"{"data": "", "pair": [1, "x"], "deep": [], "outcome": {"err": 1}}"#.to_owned(),
            "'outcome.err' must be a string, not an integer",
        ),
        (
            "table",
            r#"{"by_name": {"a": {"width": null}}, "by_number": {}}"#.to_owned(),
            "'by_name.a.width' must be an integer, not null",
        ),
        (
            "table",
            r#"{"by_name": {}, "by_number": {"256": true}}"#.to_owned(),
            "'by_number' has a key that is not an integer that fits",
        ),
        ("scale", r#"{"by": 1e39}"#.to_owned(), "'by' does not fit f32"),
        ("scale", r#"{"by": "1"}"#.to_owned(), "'by' must be a number, not a string"),
        (
            "scale",
            r#"{"by": 1, "twice": 1}"#.to_owned(),
            "'twice' must be null or an object with the member 'some', not an integer",
        ),
    ] {
        let expected = format!("TypeError: Api.{method}() argument {expected}");
        assert_eq!(told(&shop, method, &arguments).await, expected, "{arguments}");
    }
}

#[tokio::test]
async fn few_bytes_cannot_become_much_memory() {
    let fields: String = (0..200).map(|at| format!("field{at}: option<u8>, ")).collect();
    let wide = format!(
        "package a:a; interface api {{ record wide {{ {fields} }} put: func(items: list<wide>); }} world test {{ export api; }}"
    );
    let limits = Limits { memory: Bytes(1 << 20), ..tight() };
    let program = crate::testing::load(sandbox(), &types_only(&wide), limits).unwrap();
    let arguments = format!(r#"{{"items": [{}]}}"#, vec!["{}"; 1000].join(","));
    let fault = program.handle(invocation("put", &arguments)).await.unwrap_err();
    assert!(matches!(fault, Fault::OutOfMemory { limit: Bytes(1_048_576), .. }), "{fault:?}");
}

#[tokio::test]
async fn what_json_cannot_carry_is_refused_by_name() {
    for (function, expected) in [
        ("resource file; open: func() -> file", "whose file is a resource"),
        ("f: func(a: result<u8, u8>) -> result<u8, list<u8>>", "whose f fails with list<u8>"),
        (
            "f: func(a: map<string, u8>) -> map<char, tuple<result<_, u32>>>; g: func() -> result<u8, f32>",
            "whose g fails with f32",
        ),
    ] {
        let wit = format!("package a:a@1.0.0; interface thing {{ {function}; }} world test {{ export thing; }}");
        let text = refused(&types_only(&wit));
        assert!(text.starts_with(&format!("exports a:a/thing@1.0.0, {expected}")), "{text}");
    }
    // Of the component model's asynchronous part, which the engine does not have.
    for asynchronous in ["f: func(a: future<u8>)", "f: func() -> stream<u8>"] {
        let wit = format!("package a:a@1.0.0; interface thing {{ {asynchronous}; }} world test {{ export thing; }}");
        let text = refused(&types_only(&wit));
        assert!(text.contains("future") || text.contains("stream"), "{text}");
    }
    let nothing = "package a:a; world test { export run: func(); export thing: interface { f: func(); } }";
    let text = refused(&types_only(nothing));
    assert!(text.contains("neither nova:rpc/handler nor") && text.ends_with("it exports: run, thing"), "{text}");
}

#[tokio::test]
async fn types_of_any_size_are_not_read() {
    let mut types = String::from("record r0 { a: u8, b: u8, c: u8, d: u8 }");
    for level in 1..8 {
        let below = level - 1;
        types.push_str(&format!("record r{level} {{ a: r{below}, b: r{below}, c: r{below}, d: r{below} }}"));
    }
    let wit = format!("package a:a; interface api {{ {types} f: func(a: r7); }} world test {{ export api; }}");
    let text = refused(&types_only(&wit));
    assert!(text.contains("larger than the 50000 parts"), "{text}");
}

#[tokio::test]
async fn a_method_reads_like_wit() {
    let shop = shop();
    let endpoint = &shop.interface().unwrap().endpoints()[0];
    let signature = |name: &str| endpoint.signature(name, &endpoint.methods[name]);
    assert_eq!(signature("add"), "add(a: s64, b: s64) -> s64");
    assert_eq!(
        signature("paint"),
        "paint(shape: Shape, colors: list<Color>, access: Access, note: option<string>) -> Size"
    );
    assert_eq!(
        signature("store"),
        "store(data: list<u8>, pair: tuple<u8, char>, deep: list<option<Size>>, outcome: result<u8, string>)"
    );
    assert_eq!(signature("scale"), "scale(by: f32, twice: option<option<u8>>)");
}

#[tokio::test]
async fn a_typed_guest_that_misbehaves_ends_as_any_other() {
    let wit = "package a:a; interface api { spin: func(); trap: func(); text: func() -> string; }
               world test { export api; }";
    let module = r#"(module (memory (export "memory") 1)
        (func (export "a:a/api#spin") (loop $again (br $again)))
        (func (export "a:a/api#trap") unreachable)
        (data (i32.const 8) "\f0\ff\ff\ff\40\00\00\00")
        (func (export "a:a/api#text") (result i32) i32.const 8)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#;
    let program = load(&component(wit, module)).unwrap();
    assert!(matches!(answer(&program, "spin", "{}").await, Err(Fault::TimedOut { .. })));
    assert!(matches!(answer(&program, "trap", "{}").await, Err(Fault::Trapped { .. })));
    let forged = answer(&program, "text", "{}").await.unwrap_err();
    assert!(!matches!(forged, Fault::Unavailable { .. }), "{forged:?}");
}
