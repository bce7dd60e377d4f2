//! kombu's typed values, `{"__type__": T, "__value__": V}`, in messages without an envelope.
//!
//! kombu makes Python objects of them wherever they stand in the body; in an enveloped message, whose content is a
//! string, they are plain data. A handler gets the text that oslo.messaging would send such an object on as.

use std::{borrow::Cow, ops::Range};

use super::{
    Text,
    lenient::{Half, string, token_length},
};

/// An object or list that is not closed yet, in the output.
struct Open {
    start: usize,
    /// The member whose value comes next.
    member: Member,
    /// Whether there is a member beside the two.
    others: bool,
    kind: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// A key comes next, or this is a list.
    None,
    Kind,
    Value,
    Other,
}

/// Replaces every typed value of a JSON text, from the inside out. Takes no stack, however deep the text nests.
///
/// # Errors
///
/// The reason, where a value has a type that is not known, or a value that does not fit it.
pub(super) fn resolve(json: &str) -> Result<Cow<'_, str>, &'static str> {
    let mut out = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut found = false;
    let mut rest = json;
    while !rest.is_empty() {
        let (token, after) = rest.split_at(token_length(rest));
        rest = after;
        let start = out.len();
        out.push_str(token);
        match token.as_bytes().first() {
            Some(b'{' | b'[') => {
                open.push(Open { start, member: Member::None, others: token == "[", kind: None, value: None });
            }
            Some(b'}' | b']') => {
                let Some(closed) = open.pop() else { continue };
                if let (false, Some(kind), Some(value)) = (closed.others, closed.kind, closed.value) {
                    let text = |range| out.get(range).unwrap_or_default();
                    let replacement = decode(text(kind), text(value))?;
                    out.truncate(closed.start);
                    out.push_str(&replacement);
                    found = true;
                }
                ended(&mut open, closed.start..out.len());
            }
            Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') | None => {}
            Some(b'"') if open.last().is_some_and(|open| open.member == Member::None && !is_list(open, &out)) => {
                if let Some(open) = open.last_mut() {
                    open.member = match string(token, Half::Replaced).as_deref() {
                        Some("__type__") => Member::Kind,
                        Some("__value__") => Member::Value,
                        _ => Member::Other,
                    };
                    open.others |= open.member == Member::Other;
                }
            }
            Some(_) => ended(&mut open, start..out.len()),
        }
    }
    Ok(if found { Cow::Owned(out) } else { Cow::Borrowed(json) })
}

fn is_list(open: &Open, out: &str) -> bool {
    out.as_bytes().get(open.start) == Some(&b'[')
}

/// Notes a value that is complete; the last of duplicate keys wins.
fn ended(open: &mut [Open], value: Range<usize>) {
    if let Some(open) = open.last_mut() {
        match std::mem::replace(&mut open.member, Member::None) {
            Member::Kind => open.kind = Some(value),
            Member::Value => open.value = Some(value),
            Member::Other | Member::None => {}
        }
    }
}

/// The JSON that stands for a typed value.
fn decode(kind: &str, value: &str) -> Result<String, &'static str> {
    match string(kind, Half::Replaced).as_deref() {
        // What is not UTF-8 has no other text than its base64.
        Some("bytes" | "base64" | "datetime" | "date" | "time" | "decimal") if value.starts_with('"') => {
            Ok(value.to_owned())
        }
        Some("uuid") => uuid(value).ok_or("a typed value is not a uuid"),
        Some("bytes" | "base64" | "datetime" | "date" | "time" | "decimal") => Err("a typed value is not a string"),
        _ => Err("a typed value is of an unknown type"),
    }
}

/// `{"hex": "32 digits"}`, as kombu writes it.
fn uuid(value: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Uuid {
        hex: String,
    }
    let Uuid { hex } = serde_json::from_str(value).ok()?;
    Some(Text::of(&uuid::Uuid::try_parse(&hex).ok()?.to_string()).get().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn typed_values_are_the_text_that_stands_for_them() {
        for (json, expected) in [
            (
                r#"{"a": {"__type__": "uuid", "__value__": {"hex": "0123456789abcdef0123456789ABCDEF"}}}"#,
                r#"{"a": "01234567-89ab-cdef-0123-456789abcdef"}"#,
            ),
            (r#"[{"__value__":"2013-01-02T03:04:05","__type__":"datetime"}, 1]"#, r#"["2013-01-02T03:04:05", 1]"#),
            (r#"{"x": [{"__type__": "decimal", "__value__": "1.50"}]}"#, r#"{"x": ["1.50"]}"#),
            (r#"{"__type__": "bytes", "__value__": "\ud800"}"#, r#""\ud800""#),
            (r#"{"__type__": "base64", "__value__": "/w=="}"#, r#""/w==""#),
            // Keys are what they mean, and the last of them wins.
            (
                r#"{"\u005f_type__": "x", "__type__": "date", "__value__": 1, "__value__": "2013-01-02"}"#,
                r#""2013-01-02""#,
            ),
        ] {
            assert_eq!(resolve(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_not_quite_a_typed_value_is_data() {
        for json in [
            "{}",
            r#"{"__type__": "uuid"}"#,
            r#"{"__value__": "uuid"}"#,
            r#"{"__type__": "x", "__value__": 1, "more": 2}"#,
            r#"["__type__", "__value__"]"#,
            r#"{"a": "__type__", "b": {"c": "__value__"}}"#,
            r#"{"__type__": ["__value__", 1]}"#,
        ] {
            assert_eq!(resolve(json), Ok(Cow::Borrowed(json)));
        }
    }

    #[test]
    fn what_kombu_cannot_decode_is_refused() {
        for json in [
            r#"{"__type__": "set", "__value__": []}"#,
            r#"{"__type__": null, "__value__": ""}"#,
            r#"{"__type__": ["uuid"], "__value__": ""}"#,
            r#"{"a": [{"__type__": "bytes", "__value__": 1}]}"#,
            r#"{"__type__": "uuid", "__value__": "0123456789abcdef0123456789abcdef"}"#,
            r#"{"__type__": "uuid", "__value__": {"hex": "0123"}}"#,
        ] {
            assert!(resolve(json).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_takes_no_stack() {
        let deep = format!("{}{}", r#"{"a":["#.repeat(200_000), "]}".repeat(200_000));
        assert_eq!(resolve(&deep), Ok(Cow::Borrowed(deep.as_str())));
    }

    proptest! {
        #[test]
        fn any_text_is_resolved_or_refused_without_a_panic(text in r#"([\[\]{}:," ]|"__type__"|"__value__"|"uuid"|.){0,40}"#) {
            let _ = resolve(&text);
        }
    }
}
