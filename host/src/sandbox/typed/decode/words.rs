//! Scalars from text and numbers, and how to say what is wanted.

use wasmtime::component::Val;

use super::super::{
    mistake::enumerate,
    names::Names,
    types::{Integer, Type},
};

/// Names that are listed in a message.
const MAX_LISTED: usize = 20;

/// An integer of a type, if it fits.
pub(super) fn integer_of(integer: Integer, value: i128) -> Option<Val> {
    Some(match integer {
        Integer::S8 => Val::S8(value.try_into().ok()?),
        Integer::U8 => Val::U8(value.try_into().ok()?),
        Integer::S16 => Val::S16(value.try_into().ok()?),
        Integer::U16 => Val::U16(value.try_into().ok()?),
        Integer::S32 => Val::S32(value.try_into().ok()?),
        Integer::U32 => Val::U32(value.try_into().ok()?),
        Integer::S64 => Val::S64(value.try_into().ok()?),
        Integer::U64 => Val::U64(value.try_into().ok()?),
    })
}

/// The one character of a text.
pub(super) fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// A key of a map, as Python's `json.dumps` writes it.
pub(super) fn key_of(ty: &Type, name: &str) -> Option<Val> {
    match ty {
        Type::String => Some(Val::String(name.to_owned())),
        Type::Char => single(name).map(Val::Char),
        Type::Bool if name == "true" => Some(Val::Bool(true)),
        Type::Bool if name == "false" => Some(Val::Bool(false)),
        Type::Integer(integer) => {
            let value: i128 = name.parse().ok()?;
            // One text for one key: neither `+1` nor `01`.
            integer_of(*integer, value).filter(|_| value.to_string() == name)
        }
        _ => None,
    }
}

/// What a type's values are in JSON, as a caller knows them.
pub(super) fn wanted(ty: &Type) -> String {
    let words = match ty {
        Type::Bool => "a boolean",
        Type::Integer(_) => "an integer",
        Type::F32 | Type::F64 => "a number",
        Type::Char => "a string of one character",
        Type::String => "a string",
        Type::Bytes => "base64 text or a list of integers",
        Type::List(_) => "a list",
        Type::Tuple(types) => return format!("a list of {} items", types.len()),
        Type::Flags(names) => return format!("a list of {}", listed(names)),
        Type::Record(_) | Type::Map(_) => "an object",
        Type::Enum(names) => return format!("one of {}", listed(names)),
        Type::Variant(cases) => return format!("a case: one of {}", listed(&cases.names)),
        Type::Result(_) => "an object with the member 'ok' or 'err'",
        Type::Some(_) => "null or an object with the member 'some'",
        Type::Json | Type::Option(_) => "a value",
    };
    words.to_owned()
}

/// What a key of a map is.
pub(super) fn wanted_key(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "'true' or 'false'",
        Type::Char => "one character",
        Type::Integer(_) => "an integer that fits",
        _ => "text",
    }
}

/// The names of cases or flags.
pub(super) fn listed(names: &Names) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_LISTED).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => enumerate(&shown),
        more => {
            format!("{} and {more} more", shown.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "))
        }
    }
}
