//! One JSON value as a serde deserializer, over its raw text.
//!
//! Before it: [`parts`](super::parts) cut the text out of an object or a list. It goes there again for what is inside.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{Error as _, Expected, IntoDeserializer, Unexpected, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::{
    mistake::Mistake,
    parts::{self, Items, Members, Text},
};

/// How deep lists and objects may nest; serde_json's own limit. The stack of a component is small.
const MAX_DEPTH: u8 = 128;

/// How serde_json's `RawValue` says that it wants the text itself.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// One value.
///
/// An empty text, which JSON never is, is a placeholder: it becomes whatever is asked for. See `from_object`.
#[derive(Clone, Copy)]
pub(super) struct Node<'de> {
    text: &'de str,
    depth: u8,
}

/// A number as the narrowest type that holds it.
enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl<'de> Node<'de> {
    /// Takes a whole text as one value.
    pub(super) fn parse(text: &'de str) -> Result<Self, Mistake> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| Mistake::wrong("must be JSON"))?;
        Ok(Self { text: raw.get(), depth: 0 })
    }

    /// Takes a part of a text.
    pub(super) const fn new(text: &'de str, depth: u8) -> Self {
        Self { text, depth }
    }

    /// Turns a placeholder into a value.
    fn or(self, value: &'static str) -> Self {
        if self.text.is_empty() { Self { text: value, ..self } } else { self }
    }

    fn first(self) -> u8 {
        self.text.bytes().next().unwrap_or(b'n')
    }

    fn string(self) -> Result<Cow<'de, str>, Mistake> {
        let text = serde_json::from_str::<Text<'_>>(self.text);
        text.map(|Text(text)| text).map_err(|_| Mistake::wrong("is not valid Unicode"))
    }

    fn number(self) -> Result<Number, Mistake> {
        if let Ok(number) = self.text.parse() {
            return Ok(Number::Unsigned(number));
        }
        if let Ok(number) = self.text.parse() {
            return Ok(Number::Signed(number));
        }
        match self.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Number::Float(number)),
            _ => Err(Mistake::wrong("is too large a number")),
        }
    }

    fn inner_depth(self) -> Result<u8, Mistake> {
        if self.depth < MAX_DEPTH { Ok(self.depth + 1) } else { Err(Mistake::wrong("is nested too deeply")) }
    }

    fn is_number(self) -> bool {
        matches!(self.first(), b'-' | b'0'..=b'9')
    }

    fn is_integer(self) -> bool {
        self.is_number() && !self.text.contains(['.', 'e', 'E'])
    }

    /// Words that it is of another kind than was asked for.
    fn mismatch(self, expected: &dyn Expected) -> Mistake {
        let kind = match self.first() {
            b'{' => Unexpected::Map,
            b'[' => Unexpected::Seq,
            b'"' => Unexpected::Str(""),
            b't' | b'f' => Unexpected::Bool(true),
            b'n' => Unexpected::Unit,
            _ if self.is_integer() => Unexpected::Signed(0),
            _ => Unexpected::Float(0.0),
        };
        Mistake::invalid_type(kind, expected)
    }

    fn visit_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.number()? {
            Number::Unsigned(number) => visitor.visit_u64(number),
            Number::Signed(number) => visitor.visit_i64(number),
            Number::Float(number) => visitor.visit_f64(number),
        }
    }

    fn visit_integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if !self.is_integer() {
            return Err(self.mismatch(&visitor));
        }
        match self.number()? {
            Number::Unsigned(number) => visitor.visit_u64(number),
            Number::Signed(number) => visitor.visit_i64(number),
            Number::Float(_) => Err(Mistake::wrong("is too large an integer")),
        }
    }
}

/// Methods that share their body: `hint, hint => value of a placeholder, |node, visitor| body`.
macro_rules! hints {
    ($($($method:ident),+ => $placeholder:literal, |$node:ident, $visitor:ident| $body:expr;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Mistake> {
            let $node = self.or($placeholder);
            $body
        }
    )+)*};
}

// A hint is taken at its word: less code in a component than if each could become anything.
impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Mistake;

    hints! {
        deserialize_any => "null", |node, visitor| match node.first() {
            b'{' => node.deserialize_map(visitor),
            b'[' => node.deserialize_seq(visitor),
            b'"' => node.deserialize_str(visitor),
            b't' | b'f' => node.deserialize_bool(visitor),
            b'n' => visitor.visit_unit(),
            _ => node.visit_number(visitor),
        };
        deserialize_unit => "null", |node, visitor| match node.first() {
            b'n' => visitor.visit_unit(),
            _ => Err(node.mismatch(&visitor)),
        };
        deserialize_ignored_any => "null", |_node, visitor| visitor.visit_unit();
        deserialize_option => "null", |node, visitor| match node.first() {
            b'n' => visitor.visit_none(),
            _ => visitor.visit_some(node),
        };
        deserialize_bool => "false", |node, visitor| match node.first() {
            b't' => visitor.visit_bool(true),
            b'f' => visitor.visit_bool(false),
            _ => Err(node.mismatch(&visitor)),
        };
        deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64,
        deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64 => "0", |node, visitor| {
            node.visit_integer(visitor)
        };
        deserialize_i128 => "0", |node, visitor| match node.text.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => node.visit_integer(visitor),
        };
        deserialize_u128 => "0", |node, visitor| match node.text.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => node.visit_integer(visitor),
        };
        deserialize_f32, deserialize_f64 => "0", |node, visitor| match node.is_number() {
            true => node.visit_number(visitor),
            false => Err(node.mismatch(&visitor)),
        };
        deserialize_str, deserialize_string, deserialize_identifier => "\"\"", |node, visitor| match node.first() {
            b'"' => match node.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            _ => Err(node.mismatch(&visitor)),
        };
        deserialize_char => "\" \"", |node, visitor| node.deserialize_str(visitor);
        deserialize_bytes, deserialize_byte_buf => "\"\"", |node, visitor| node.deserialize_any(visitor);
        deserialize_seq => "[]", |node, visitor| match node.first() {
            b'[' => {
                let items = parts::items(node.text)?;
                let mut rest = Items::new(&items, node.inner_depth()?);
                let value = visitor.visit_seq(&mut rest)?;
                match rest.len() {
                    0 => Ok(value),
                    unread => Err(Mistake::wrong(format!("has {unread} items too many"))),
                }
            }
            _ => Err(node.mismatch(&visitor)),
        };
        deserialize_map => "{}", |node, visitor| match node.first() {
            b'{' => visitor.visit_map(Members::new(&parts::members(node.text)?, node.inner_depth()?)),
            _ => Err(node.mismatch(&visitor)),
        };
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, v: V) -> Result<V::Value, Mistake> {
        if name == RAW_VALUE {
            let mut raw = serde_json::Deserializer::from_str(self.or("null").text);
            return raw.deserialize_newtype_struct(name, v).map_err(Mistake::custom);
        }
        v.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &str, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &str, _: &[&str], visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.first() {
            b'"' => visitor.visit_enum(self.string()?.into_deserializer()),
            b'{' => {
                let members = parts::members(self.text)?;
                match members.len() {
                    1 => visitor.visit_enum(MapAccessDeserializer::new(Members::new(&members, self.inner_depth()?))),
                    _ => Err(Mistake::wrong("must have one member, the name of a variant")),
                }
            }
            _ if self.text.is_empty() => {
                visitor.visit_enum(Cow::Borrowed(variants.first().copied().unwrap_or_default()).into_deserializer())
            }
            _ => Err(self.mismatch(&"a string or an object")),
        }
    }
}
