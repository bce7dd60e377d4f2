//! Interfaces and what becomes of their callers.

use std::fmt::Write;

use super::*;
use crate::{
    sandbox::Program,
    testing::typed::{load, types_only},
};

/// An interface of these items, in a package of this version.
fn api(version: &str, items: &str) -> Program {
    let wit = format!("package a:shop@{version}; interface api {{ {items} }} world test {{ export api; }}");
    load(&types_only(&wit)).unwrap()
}

fn served(program: &Program) -> Vec<Served<'_>> {
    let endpoints = program.interface().unwrap().endpoints().iter();
    let served = endpoints.map(|endpoint| Served {
        namespace: endpoint.namespace.clone(),
        version: endpoint.version.parse().unwrap(),
        methods: endpoint.methods.keys().cloned().collect(),
        types: Some(endpoint),
    });
    served.collect()
}

/// What breaks from one version to the next.
fn breaks(old: &str, new: &str) -> String {
    changes::breaking(&served(&api("1.5.0", old)), &served(&api("1.6.0", new))).join("\n")
}

#[test]
fn what_only_adds_breaks_nobody() {
    for (old, new) in [
        ("f: func(a: u8);", "f: func(a: u8); g: func();"),
        ("f: func(a: u8);", "f: func(b: option<u8>, a: u8) -> string;"),
        ("f: func(a: u8, b: f32, c: char);", "f: func(a: s16, b: f64, c: string);"),
        ("f: func(a: u8) -> u64;", "f: func(a: option<u8>) -> u8;"),
        ("enum e { a } f: func(e: e);", "enum e { b, a } f: func(e: e);"),
        ("enum e { a, b } f: func() -> e;", "enum e { b } f: func() -> e;"),
        ("record r { x: u8 } f: func(r: r) -> r;", "record r { x: u8 } record s { x: u8, y: u8 } f: func(r: r) -> s;"),
        ("record r { x: u8 } f: func(r: list<r>);", "record r { x: u8, y: option<u8> } f: func(r: list<r>);"),
        ("variant v { a(u8) } f: func(v: v);", "variant v { a(u16), b } f: func(v: v);"),
        ("f: func() -> result<u8, string>;", "f: func() -> u8;"),
        ("f: func(a: list<u8>);", "use nova:rpc/types@0.1.0.{json-value}; f: func(a: json-value);"),
    ] {
        assert_eq!(breaks(old, new), "", "{old} -> {new}");
    }
}

#[test]
fn what_breaks_callers_is_named_with_its_place() {
    for (old, new, expected) in [
        ("f: func(); g: func();", "f: func();", "1.5: g is no longer served"),
        ("f: func(a: u16);", "f: func(a: u8);", "1.5: f(): argument 'a': was u16 and is u8"),
        ("f: func(a: u8);", "f: func();", "1.5: f(): argument 'a': there is none any more"),
        ("f: func();", "f: func(a: u8);", "1.5: f(): argument 'a': is new and must be given (u8)"),
        ("f: func(a: option<u8>);", "f: func(a: u8);", "1.5: f(): argument 'a': was option<u8> and is u8"),
        ("f: func() -> u8;", "f: func() -> option<u8>;", "1.5: f(): result: was u8 and is option<u8>"),
        ("f: func() -> u8;", "f: func() -> u16;", "1.5: f(): result: was u8 and is u16"),
        ("f: func() -> u8;", "f: func();", "1.5: f(): result: there is none any more"),
        (
            "enum e { a, b-c } f: func(e: e) -> e;",
            "enum e { a, d } f: func(e: e) -> e;",
            "1.5: f(): argument 'e': may not be 'b_c' any more\n\
             1.5: f(): result: may be 'd', which callers do not know",
        ),
        (
            "record r { x: u8, y: u8 } f: func(r: list<r>) -> list<r>;",
            "record r { x: u8, z: u8 } f: func(r: list<r>) -> list<r>;",
            "1.5: f(): argument 'r'[]: 'y': there is none any more\n\
             1.5: f(): argument 'r'[]: 'z': is new and must be given (u8)\n\
             1.5: f(): result[]: 'y': there is none any more",
        ),
        (
            "variant v { a(u16), b } f: func(v: v);",
            "variant v { a(u8), b(u8) } f: func(v: v);",
            "1.5: f(): argument 'v'.a: was u16 and is u8\n1.5: f(): argument 'v'.b: has a value in only one of them",
        ),
        ("f: func(a: tuple<u8, u16>);", "f: func(a: tuple<u8, u8>);", "1.5: f(): argument 'a'[1]: was u16 and is u8"),
        ("f: func(a: list<u8>);", "f: func(a: string);", "1.5: f(): argument 'a': was list<u8> and is string"),
    ] {
        assert_eq!(breaks(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn a_version_without_types_says_nothing_of_what_fits() {
    let old = api("1.5.0", "f: func(a: u8);");
    let [typed] = &served(&old)[..] else { panic!("one endpoint") };
    let dynamic = [Served { types: None, ..typed.clone() }];
    assert_eq!(changes::breaking(&served(&old), &dynamic), ["1.5: f: its types are not known any more"]);
    assert_eq!(changes::breaking(&dynamic, &served(&old)), [""; 0]);
}

#[test]
fn a_version_that_does_not_cover_the_old_one_breaks_everybody() {
    let (old, lower, major) = (api("1.5.0", "f: func();"), api("1.4.9", "f: func();"), api("2.0.0", "f: func();"));
    for new in [&lower, &major] {
        assert_eq!(changes::breaking(&served(&old), &served(new)), ["1.5: f is no longer served"]);
    }
}

#[test]
fn two_things_of_one_name_have_two_names_in_a_document() {
    let wit = "package a:shop@1.0.0;
        interface api { record item { x: u8 } record same { y: u8 } f: func(i: item, s: same); }
        interface other { record item { x: string } record same { y: u8 } f: func(i: item, s: same); }
        world test { export api; export other; }";
    let program = load(&types_only(wit)).unwrap();
    let document = schema::document("shop", &served(&program));
    let names: Vec<&String> = document["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Api0Item", "Other1Item", "Same"]);
    let argument = &document["endpoints"][1]["methods"]["f"]["arguments"]["properties"]["i"];
    assert_eq!(argument["$ref"], "#/$defs/Other1Item");
    let module = python::module("shop", &served(&program));
    assert_eq!(module.matches("\nSame = typing.TypedDict(").count(), 1, "{module}");
    assert!(module.contains("i: Other1Item, s: Same) -> None:"), "{module}");
}

#[test]
fn a_schema_says_what_may_be_sent() {
    let items = "record r { a: u8, b: option<char> } variant v { none, some(list<u8>) } flags w { x-y }
        f: func(r: r, v: v, w: w, t: tuple<f32, bool>, n: option<option<s8>>) -> result<list<string>, string>;";
    let program = api("1.0.0", items);
    let document = schema::document("shop", &served(&program));
    let method = &document["endpoints"][0]["methods"]["f"];
    assert_eq!(method["arguments"]["required"], serde_json::json!(["r", "v", "w", "t"]));
    assert_eq!(method["raises"], serde_json::json!(["RuntimeError"]));
    let mut text = String::new();
    for name in ["R", "V", "W"] {
        writeln!(text, "{name} {}", document["$defs"][name]).unwrap();
    }
    assert_eq!(
        text,
        concat!(
            r#"R {"additionalProperties":false,"properties":{"a":{"maximum":255,"minimum":0,"type":"integer"},"#,
            r#""b":{"anyOf":[{"maxLength":1,"minLength":1,"type":"string"},{"type":"null"}]}},"required":["a"],"#,
            r#""type":"object"}"#,
            "\n",
            r#"V {"oneOf":[{"const":"none"},{"additionalProperties":false,"properties":{"some":"#,
            r#"{"contentEncoding":"base64","type":"string"}},"required":["some"],"type":"object"}]}"#,
            "\n",
            r#"W {"items":{"enum":["x_y"]},"type":"array"}"#,
            "\n"
        )
    );
}
