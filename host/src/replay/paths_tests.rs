//! The paths at which two results differ.

use proptest::prelude::*;

use super::*;

fn found(expected: &str, got: &str, ignored: &[&str]) -> Vec<String> {
    let ignored = Ignored::parse(ignored).unwrap();
    changes(expected, got, &ignored, false).iter().map(ToString::to_string).collect()
}

#[test]
fn each_path_that_differs_is_told() {
    for (expected, got, told) in [
        (r#"{"a":1,"b":[1,2]}"#, r#"{ "b": [1, 3], "a": 1 }"#, &["/b/1: expected 2, got 3"][..]),
        (r#"{"host":"a"}"#, r#"{"node":"a"}"#, &["/host: expected \"a\", is not there", "/node: is new, \"a\""]),
        ("[1]", "[1,null]", &["/1: is new, null"]),
        (r#"{"a/b":{"~":1}}"#, r#"{"a/b":{"~":"1"}}"#, &["/a~1b/~0: expected 1, got \"1\""]),
        ("1", "1.0", &["the whole: expected 1, got 1.0"]),
        ("9007199254740993", "9007199254740992", &["the whole: expected 9007199254740993, got 9007199254740992"]),
        ("null", "{}", &["the whole: expected null, got {}"]),
        ("1", "true", &["the whole: expected 1, got true"]),
        ("no JSON {", "{", &["the whole: expected no JSON {, got {"]),
    ] {
        assert_eq!(found(expected, got, &[]), told);
    }
}

#[test]
fn how_a_value_is_written_says_nothing() {
    for (expected, got) in [
        (r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a" : 1}"#),
        (r#""\u00e9""#, r#""é""#),
        ("1.50", "1.5"),
        ("1e3", "1000.0"),
        (r#"["half \ud800"]"#, r#"[ "half \ud800" ]"#),
    ] {
        assert_eq!(found(expected, got, &[]), <[String; 0]>::default(), "{expected} and {got}");
    }
}

#[test]
fn what_may_differ_is_left_out() {
    let (expected, got) =
        (r#"{"i":[{"at":1,"n":1},{"at":1,"n":1}]}"#, r#"{"i":[{"at":2,"n":1},{"at":3,"n":2,"x":1}]}"#);
    let (at_0, at_1) = ("/i/0/at: expected 1, got 2", "/i/1/at: expected 1, got 3");
    let (n, x) = ("/i/1/n: expected 1, got 2", "/i/1/x: is new, 1");
    for (ignored, left) in [
        (&["/i/*/at"][..], &[n, x][..]),
        (&["/i/0/at"], &[at_1, n, x]),
        (&["/**/at", "/i/1/x"], &[n]),
        (&["/i/**"], &[]),
        (&["/**"], &[]),
        (&["/*"], &[]),
        (&["/i/*"], &[]),
        (&["/at", "/i/*/*/at", "/i/"], &[at_0, at_1, n, x]),
    ] {
        assert_eq!(found(expected, got, ignored), left, "{ignored:?}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for path in ["", "a", "$.a", "/**/**/**", &"/a".repeat(65)] {
        assert!(Ignored::parse(&[path]).is_err(), "{path}");
    }
    assert!(Ignored::parse(&["/a"; 257]).is_err());
    assert!(Ignored::parse(&["/", "/a~1b/**/*"]).is_ok());
}

#[test]
fn what_is_redacted_is_like_what_was_there() {
    assert_eq!(changes(r#"{"a":"****","b":1}"#, r#"{"a":"abcd","b":1}"#, &Ignored::default(), true), []);
    assert_eq!(changes(r#"{"a":"****","b":1}"#, r#"{"a":"abcd","b":2}"#, &Ignored::default(), true).len(), 1);
}

#[test]
fn deep_and_wide_values_end() {
    let deep = |end: &str| format!("{}{end}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(found(&deep("1"), &deep("2"), &[]).len(), 1);
    let wide = |value: &str| format!("[{}]", [value; 100_000].join(","));
    assert_eq!(found(&wide("1"), &wide("2"), &["/**/a/**"]).len(), MAX_CHANGES);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[a-c~/\u{e9}]{0,3}".prop_map(Into::into)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Two values differ somewhere exactly where they are not equal, and each path that is told leads to another value.
    #[test]
    fn paths_lead_to_what_differs(expected in value(), got in value()) {
        let told = changes(&expected.to_string(), &format!("{got:#}"), &Ignored::default(), false);
        prop_assert_eq!(told.is_empty(), expected == got);
        for change in &told {
            prop_assert_ne!(expected.pointer(&change.path), got.pointer(&change.path));
        }
        let all: Vec<&str> = told.iter().map(|change| change.path.as_str()).filter(|path| !path.is_empty()).collect();
        let literal = all.iter().all(|path| !path.split('/').any(|part| part == "*" || part == "**"));
        if literal && all.len() == told.len() && told.len() < MAX_CHANGES {
            let ignored = Ignored::parse(&all).unwrap();
            prop_assert_eq!(changes(&expected.to_string(), &got.to_string(), &ignored, false), []);
        }
    }

    #[test]
    fn no_text_is_too_odd(expected in ".{0,60}", got in "[\\[\\]{}\",:0-9a\\\\u ]{0,60}", path in ".{0,20}") {
        let ignored = Ignored::parse(&[path]).unwrap_or_default();
        let _ = changes(&expected, &got, &ignored, true);
        let _ = changes(&got, &expected, &ignored, false);
        prop_assert_eq!(changes(&got, &got, &ignored, false), []);
    }
}
