//! Component values → JSON text, driven by the types: the inverse of [`decode`](super::decode).
//!
//! Before it: the guest has returned values, which wasmtime has checked against the types. The text is bounded.

use std::fmt::Write;

use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::{
    base64,
    mistake::Mistake,
    names::Names,
    types::{Fields, Type},
};

/// Writes JSON with Python's separators.
#[derive(Debug)]
pub(super) struct Encoder {
    text: String,
    limit: usize,
    /// Whether something was left out because there was no room for it.
    is_over: bool,
}

impl Encoder {
    /// Starts a text of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { text: String::with_capacity(limit.min(128)), limit, is_over: false }
    }

    /// Writes one value.
    pub(super) fn value(mut self, ty: &Type, value: &Val) -> Result<String, Mistake> {
        self.write(ty, value)?;
        self.bounded()?;
        Ok(self.text)
    }

    /// Writes an object of the fields that are kept.
    pub(super) fn object(
        mut self,
        fields: &Fields,
        values: &[(String, Val)],
        keep: impl Fn(&str) -> bool,
    ) -> Result<String, Mistake> {
        self.record(fields, values, keep)?;
        self.bounded()?;
        Ok(self.text)
    }

    fn bounded(&self) -> Result<(), Mistake> {
        if self.is_over { Err(Mistake::new("makes the result larger than limits.result allows")) } else { Ok(()) }
    }

    /// Every letter comes this way: there are never more than the limit.
    fn push(&mut self, text: &str) {
        self.is_over |= text.len() > self.limit - self.text.len();
        if !self.is_over {
            self.text.push_str(text);
        }
    }

    fn write(&mut self, ty: &Type, value: &Val) -> Result<(), Mistake> {
        self.bounded()?;
        match (ty, value) {
            (Type::Bool, Val::Bool(value)) => self.put(value),
            (Type::Integer(_), Val::S8(value)) => self.put(value),
            (Type::Integer(_), Val::U8(value)) => self.put(value),
            (Type::Integer(_), Val::S16(value)) => self.put(value),
            (Type::Integer(_), Val::U16(value)) => self.put(value),
            (Type::Integer(_), Val::S32(value)) => self.put(value),
            (Type::Integer(_), Val::U32(value)) => self.put(value),
            (Type::Integer(_), Val::S64(value)) => self.put(value),
            (Type::Integer(_), Val::U64(value)) => self.put(value),
            (Type::F32, Val::Float32(value)) => match special(f64::from(*value)) {
                Some(text) => self.push(text),
                // Debug keeps the point of `1.0`: a float stays one in Python.
                None => self.put(format_args!("{value:?}")),
            },
            (Type::F64, Val::Float64(value)) => match special(*value) {
                Some(text) => self.push(text),
                None => self.put(format_args!("{value:?}")),
            },
            (Type::Char, Val::Char(value)) => self.string(value.encode_utf8(&mut [0; 4])),
            (Type::String, Val::String(value)) => self.string(value),
            (Type::Json, Val::Record(fields)) => return self.json(fields),
            (Type::Bytes, Val::List(bytes)) => {
                let byte = |value: &Val| if let Val::U8(byte) = value { *byte } else { 0 };
                self.push("\"");
                if base64::length(bytes.len()) > self.limit.saturating_sub(self.text.len()) {
                    self.is_over = true;
                    return self.bounded();
                }
                base64::encode(bytes.iter().map(byte), &mut self.text);
                self.push("\"");
            }
            (Type::List(item), Val::List(values)) => {
                return self.list(values.iter().map(|value| (&**item, value)));
            }
            (Type::Tuple(types), Val::Tuple(values)) => return self.list(types.iter().zip(values)),
            (Type::Record(fields), Val::Record(values)) => return self.record(fields, values, |_| true),
            (Type::Map(types), Val::Map(entries)) => return self.map(&types.1, entries),
            (Type::Enum(names), Val::Enum(name)) => return self.case(names, name, None),
            (Type::Variant(cases), Val::Variant(name, value)) => {
                let ty = cases.names.find_wit(name).and_then(|at| cases.types.get(at)?.as_ref());
                return self.case(&cases.names, name, ty.zip(value.as_deref()));
            }
            (Type::Flags(names), Val::Flags(set)) => {
                let mut separator = "[";
                for (at, _) in names.iter().enumerate().filter(|(at, _)| set.iter().any(|flag| flag == names.wit(*at)))
                {
                    self.push(std::mem::replace(&mut separator, ", "));
                    self.string(names.json(at));
                }
                self.push(if separator == "[" { "[]" } else { "]" });
            }
            (Type::Option(_), Val::Option(None)) => self.push("null"),
            (Type::Option(inner), Val::Option(Some(value))) => return self.write(inner, value),
            (Type::Some(inner), value) => return self.member("some", Some((inner, value))),
            (Type::Result(sides), Val::Result(Ok(value))) => {
                return self.member("ok", sides.0.as_ref().zip(value.as_deref()));
            }
            (Type::Result(sides), Val::Result(Err(value))) => {
                return self.member("err", sides.1.as_ref().zip(value.as_deref()));
            }
            // wasmtime has checked the value against the type.
            _ => return Err(Mistake::new("is of another type than the interface says")),
        }
        Ok(())
    }

    fn put(&mut self, value: impl std::fmt::Display) {
        // Writing here does not fail.
        write!(self, "{value}").ok();
    }

    fn string(&mut self, text: &str) {
        self.push("\"");
        let mut rest = text;
        while !self.is_over
            && let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\')
        {
            let (plain, special) = rest.split_at(at);
            self.push(plain);
            let mut chars = special.chars();
            match chars.next() {
                Some('"') => self.push("\\\""),
                Some('\\') => self.push("\\\\"),
                Some('\n') => self.push("\\n"),
                Some(control) => self.put(format_args!("\\u{:04x}", u32::from(control))),
                None => {}
            }
            rest = chars.as_str();
        }
        self.push(rest);
        self.push("\"");
    }

    /// The shared record: its text, if it is JSON.
    fn json(&mut self, fields: &[(String, Val)]) -> Result<(), Mistake> {
        let Some((_, Val::String(text))) = fields.first() else { return Err(Mistake::new("is not text")) };
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => self.push(raw.get()),
            Err(error) => return Err(Mistake::new(format!("is not JSON: {error}"))),
        }
        Ok(())
    }

    fn list<'v>(&mut self, items: impl Iterator<Item = (&'v Type, &'v Val)>) -> Result<(), Mistake> {
        self.push("[");
        for (index, (ty, value)) in items.enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.write(ty, value).map_err(|mistake| at(mistake, |mistake| mistake.at_index(index)))?;
        }
        self.push("]");
        Ok(())
    }

    fn record(
        &mut self,
        fields: &Fields,
        values: &[(String, Val)],
        keep: impl Fn(&str) -> bool,
    ) -> Result<(), Mistake> {
        self.push("{");
        let mut first = true;
        for ((name, ty), (_, value)) in fields.names.iter().zip(&fields.types).zip(values) {
            if !keep(name) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.push(", ");
            }
            self.named(name, ty, value)?;
        }
        self.push("}");
        Ok(())
    }

    fn map(&mut self, ty: &Type, entries: &[(Val, Val)]) -> Result<(), Mistake> {
        self.push("{");
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            let name = match key {
                Val::String(text) => text.clone(),
                Val::Char(c) => c.to_string(),
                Val::Bool(value) => value.to_string(),
                Val::S8(value) => value.to_string(),
                Val::U8(value) => value.to_string(),
                Val::S16(value) => value.to_string(),
                Val::U16(value) => value.to_string(),
                Val::S32(value) => value.to_string(),
                Val::U32(value) => value.to_string(),
                Val::S64(value) => value.to_string(),
                Val::U64(value) => value.to_string(),
                _ => return Err(Mistake::new("has a key that is no text")),
            };
            self.named(&name, ty, value)?;
        }
        self.push("}");
        Ok(())
    }

    fn named(&mut self, name: &str, ty: &Type, value: &Val) -> Result<(), Mistake> {
        self.string(name);
        self.push(": ");
        self.write(ty, value).map_err(|mistake| at(mistake, |mistake| mistake.at_name(name)))
    }

    /// A case: its name, or an object around its value.
    fn case(&mut self, names: &Names, name: &str, value: Option<(&Type, &Val)>) -> Result<(), Mistake> {
        let name = names.find_wit(name).map(|at| names.json(at)).unwrap_or_default();
        match value {
            Some(value) => self.member(name, Some(value)),
            None => {
                self.string(name);
                Ok(())
            }
        }
    }

    /// An object of one member.
    fn member(&mut self, name: &str, value: Option<(&Type, &Val)>) -> Result<(), Mistake> {
        self.push("{");
        match value {
            Some((ty, value)) => self.named(name, ty, value)?,
            None => {
                self.string(name);
                self.push(": null");
            }
        }
        self.push("}");
        Ok(())
    }
}

fn at(mut mistake: Mistake, place: impl FnOnce(&mut Mistake)) -> Mistake {
    place(&mut mistake);
    mistake
}

impl Write for Encoder {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// What JSON has no number for, as the envelope writes and Python reads it.
fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("null"),
        f64::INFINITY => Some("1e999"),
        f64::NEG_INFINITY => Some("-1e999"),
        _ => None,
    }
}
