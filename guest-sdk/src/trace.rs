//! The trace that the request is part of, in OpenTelemetry's words.
//!
//! A handler adds to the span in which it runs, which the host begins and ends. What exceeds the host's limits is left out, and
//! is never an error; see the guide, `docs/handlers.md`. Secrets and what only the caller may know do not belong into a trace.
//!
//! ```
//! use nova_guest::trace;
//!
//! trace::attribute("acme.flavor", "m1.small");
//! trace::attribute("acme.instances", 3);
//! trace::event("hosts found", [("acme.hosts", 17.into()), ("acme.cell", "cell1".into())]);
//! if trace::is_recording() {
//!     trace::attribute("acme.plan", format!("{:?}", [1, 2, 3]));
//! }
//! ```

use std::fmt;

use crate::imports;

/// What an attribute is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; the host keeps 1 KiB.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Number(f64),
    /// Yes or no.
    Truth(bool),
}

/// What ties the request to its trace. `Display` is W3C's `traceparent`, for what the handler asks of others by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpanContext {
    /// 32 hexadecimal digits in lower case.
    pub trace_id: String,
    /// 16 hexadecimal digits in lower case.
    pub span_id: String,
    /// W3C's flags: 1 is sampled.
    pub trace_flags: u8,
}

/// Adds an attribute to the span. A key that is there already has the new value.
pub fn attribute(key: impl AsRef<str>, value: impl Into<Value>) {
    imports::set_attribute(key.as_ref(), value.into());
}

/// Adds an event to the span, with the time of now.
pub fn event<K: Into<String>>(name: impl AsRef<str>, attributes: impl IntoIterator<Item = (K, Value)>) {
    let attributes = attributes.into_iter().map(|(key, value)| (key.into(), value));
    imports::add_event(name.as_ref(), attributes.collect());
}

/// Says whether anybody sees what is added. Where not, it need not be computed.
#[must_use]
pub fn is_recording() -> bool {
    imports::is_recording()
}

/// Returns what ties the request to its trace; `None` where it is part of none.
#[must_use]
pub fn span_context() -> Option<SpanContext> {
    imports::span_context()
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, trace_flags } = self;
        write!(f, "00-{trace_id}-{span_id}-{trace_flags:02x}")
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

macro_rules! numbers {
    ($variant:ident of $as:ty: $($from:ty),*) => {$(
        impl From<$from> for Value {
            fn from(number: $from) -> Self {
                Self::$variant(<$as>::from(number))
            }
        }
    )*};
}

numbers!(Integer of i64: i8, i16, i32, i64, u8, u16, u32);
numbers!(Number of f64: f32, f64);

/// Beyond 63 bits it is text.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Text(number.to_string()), Self::Integer)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Endpoint, Failure, Handler, Info, methods, testing::Request};

    struct Traced;

    impl Handler for Traced {
        const ENDPOINTS: &'static [Endpoint] = &[Endpoint { namespace: None, version: "1.0", methods: methods![mark] }];
    }

    fn mark(_: (), _: &Info) -> Result<(bool, Option<String>), Failure> {
        attribute("text", String::from("first"));
        attribute("text", "second");
        attribute("large", u64::MAX);
        attribute("half", 0.5);
        event("done", [("count", 3_usize.into()), ("well", true.into())]);
        event("alone", [] as [(&str, Value); 0]);
        Ok((is_recording(), span_context().map(|context| context.to_string())))
    }

    #[test]
    fn a_test_sees_what_was_added() {
        let answer = Request::new("mark", json!({})).send::<Traced>();
        let expected = [("half", 0.5.into()), ("large", u64::MAX.to_string().into()), ("text", "second".into())];
        assert_eq!(answer.attributes, expected.map(|(key, value): (&str, Value)| (key.to_owned(), value)).into());
        let done = vec![("count".to_owned(), Value::Integer(3)), ("well".to_owned(), Value::Truth(true))];
        assert_eq!(answer.events, [("done".to_owned(), done), ("alone".to_owned(), Vec::new())]);
        assert_eq!(answer.value(), Ok(json!([true, null])));
        let context = SpanContext { trace_id: "4b".repeat(16), span_id: "f0".repeat(8), trace_flags: 1 };
        let answer = Request::new("mark", json!({})).span_context(context).send::<Traced>();
        assert_eq!(answer.value(), Ok(json!([true, format!("00-{}-{}-01", "4b".repeat(16), "f0".repeat(8))])));
        // Outside of a request nobody records.
        attribute("text", "nobody's");
        assert!(!is_recording());
    }
}
