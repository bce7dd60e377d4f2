//! Types and methods as a person reads them: WIT, with the names that callers use.

use std::collections::HashMap;

use super::{
    Method, Raises,
    types::{Cases, Fields, Type},
};

/// A type; named where the interface names it.
pub(super) fn of_type(ty: &Type, names: &HashMap<Type, String>) -> String {
    let inner = |ty: &Type| of_type(ty, names);
    if let Some(name) = names.get(ty) {
        return name.clone();
    }
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Integer(integer) => integer.name().to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::Json => "json".to_owned(),
        Type::Bytes => "list<u8>".to_owned(),
        Type::List(item) => format!("list<{}>", inner(item)),
        Type::Map(types) => format!("map<{}, {}>", inner(&types.0), inner(&types.1)),
        Type::Tuple(types) => format!("tuple<{}>", joined(types.iter().map(inner))),
        Type::Record(fields) => format!("record{{{}}}", of_fields(fields, names)),
        Type::Variant(cases) => of_cases(cases, names),
        Type::Enum(cases) => format!("enum{{{}}}", joined(cases.iter().map(str::to_owned))),
        Type::Flags(flags) => format!("flags{{{}}}", joined(flags.iter().map(str::to_owned))),
        Type::Option(inner_type) => format!("option<{}>", inner(inner_type)),
        Type::Some(inner_type) => inner(inner_type),
        Type::Result(sides) => {
            let side = |side: &Option<Type>| side.as_ref().map_or_else(|| "_".to_owned(), inner);
            format!("result<{}, {}>", side(&sides.0), side(&sides.1))
        }
    }
}

fn of_cases(cases: &Cases, names: &HashMap<Type, String>) -> String {
    let case = |(name, ty): (&str, &Option<Type>)| match ty {
        Some(ty) => format!("{name}({})", of_type(ty, names)),
        None => name.to_owned(),
    };
    format!("variant{{{}}}", joined(cases.names.iter().zip(&cases.types).map(case)))
}

fn of_fields(fields: &Fields, names: &HashMap<Type, String>) -> String {
    joined(fields.names.iter().zip(&fields.types).map(|(name, ty)| format!("{name}: {}", of_type(ty, names))))
}

/// A method: its arguments, its result, and the exceptions that it raises.
pub(super) fn of_method(name: &str, method: &Method, names: &HashMap<Type, String>) -> String {
    let mut text = format!("{name}({})", of_fields(&method.parameters, names));
    if let Some(result) = &method.result {
        text.push_str(" -> ");
        text.push_str(&of_type(result, names));
    }
    match &method.raises {
        None => {}
        Some(Raises::Failure) => text.push_str(" raises any"),
        Some(raises) => text.push_str(&format!(" raises {}", raises.classes().join(", "))),
    }
    text
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
