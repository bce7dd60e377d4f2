//! JSON as Python writes it, and JSON text that is passed on untouched.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON value as its text: never parsed into a tree, so that numbers of any size, key order and duplicate keys
/// reach the other side as they were written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Box<RawValue>);

impl Text {
    /// Checks that the text is one JSON value.
    ///
    /// # Errors
    ///
    /// serde_json's, with line and column.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// The JSON of any value. What JSON cannot express becomes `null`.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        Self::parse(to_text(value)).unwrap_or_else(|_| Self::null())
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The name that Python gives to the type of the value.
    #[must_use]
    pub fn python_type(&self) -> &'static str {
        match self.get().as_bytes().first() {
            Some(b'{') => "dict",
            Some(b'[') => "list",
            Some(b'"') => "str",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "NoneType",
            _ if self.get().contains(['.', 'e', 'E']) => "float",
            _ => "int",
        }
    }
}

impl From<&RawValue> for Text {
    fn from(value: &RawValue) -> Self {
        Self(value.to_owned())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Text {}

/// Serializes with Python's separators, `", "` and `": "`. What cannot be serialized (a map whose keys are not
/// strings; nothing of ours) becomes an empty text.
#[must_use]
pub fn to_text(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Python);
    if value.serialize(&mut serializer).is_err() {
        return String::new();
    }
    String::from_utf8(bytes).unwrap_or_default()
}

struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn separators_are_pythons() {
        assert_eq!(to_text(&json!({"a": [1, 2], "b": null})), r#"{"a": [1, 2], "b": null}"#);
    }

    #[test]
    fn text_passes_untouched_whatever_the_number() {
        let text = r#"{"a":123456789012345678901234567890,"a":1e400}"#;
        assert_eq!(to_text(&Text::parse(text.into()).unwrap()), text);
        assert!(Text::parse("{} x".into()).is_err());
    }

    #[test]
    fn types_have_pythons_names() {
        let name = |text: &str| Text::parse(text.into()).unwrap().python_type();
        assert_eq!(
            ["{}", "[]", "\"\"", "true", "null", "1", "-1", "1.5", "1e3"].map(name),
            ["dict", "list", "str", "bool", "NoneType", "int", "int", "float", "float"]
        );
    }
}
