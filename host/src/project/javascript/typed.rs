//! The entry of a typed project: its interfaces, of which every function may throw `Declined`.
//!
//! Before it: [`crate::project::javascript`]. After it: `declining` of the SDK, which returns what is written here. The host
//! is told that a request is declined, and pays no attention to the result; but bindings make a component's value of it, so
//! it has to be one of its type.

use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

use crate::project::wit::World;

/// What says that a request is declined.
const INFO: &str = "nova:rpc/request-info";

/// The module that the component is made of. Without [`INFO`] in its world, a project has no `Declined` that it could throw.
pub(super) fn entry(world: &World, app: &str) -> String {
    let mut entry = format!("export * from \"{app}\";\n");
    if world.import(INFO).is_none() {
        return entry;
    }
    entry += &format!("import * as app from \"{app}\";\nimport {{ declining }} from \"nova/declined.js\";\n");
    let resolve = &world.resolve;
    let mut names = Vec::new();
    for (key, item) in resolve.worlds.get(world.id).into_iter().flat_map(|world| &world.exports) {
        let WorldItem::Interface { id, .. } = item else { continue };
        let name = match key {
            WorldKey::Name(name) => Some(name),
            WorldKey::Interface(id) => resolve.interfaces.get(*id).and_then(|interface| interface.name.as_ref()),
        };
        let Some(name) = name.map(|name| camel(name)).filter(|name| !names.contains(name)) else { continue };
        // Under a name of its own first: the interface's may be a word of JavaScript's.
        let own = format!("interface{}", names.len());
        entry += &format!("const {own} = declining(app.{name}, {});\n", results(resolve, *id));
        entry += &format!("export {{ {own} as {name} }};\n");
        names.push(name);
    }
    entry
}

/// A value for each function.
fn results(resolve: &Resolve, interface: InterfaceId) -> String {
    let functions = resolve.interfaces.get(interface).into_iter().flat_map(|interface| &interface.functions);
    let result = |function: &Function| match function.result.and_then(|ty| kind(resolve, named(resolve, ty))) {
        // An error is thrown.
        Some(TypeDefKind::Result(sides)) => optional(resolve, sides.ok.as_ref()),
        _ => optional(resolve, function.result.as_ref()),
    };
    object(functions.map(|(name, function)| (name.as_str(), result(function))))
}

/// Any value of a type, as the tool's bindings take it.
fn value(resolve: &Resolve, ty: &Type) -> String {
    let first = |case: Option<String>| case.unwrap_or_else(|| "undefined".to_owned());
    let ty = named(resolve, *ty);
    match (ty, kind(resolve, ty)) {
        (Type::Bool, _) => "false".to_owned(),
        // A text of one letter is both.
        (Type::Char | Type::String, _) => "\" \"".to_owned(),
        (_, Some(TypeDefKind::Record(record))) => {
            object(record.fields.iter().map(|field| (field.name.as_str(), value(resolve, &field.ty))))
        }
        (_, Some(TypeDefKind::Tuple(tuple))) => {
            let values: Vec<_> = tuple.types.iter().map(|ty| value(resolve, ty)).collect();
            format!("[{}]", values.join(", "))
        }
        (_, Some(TypeDefKind::List(_))) => "[]".to_owned(),
        (_, Some(TypeDefKind::Map(..))) => "new Map()".to_owned(),
        (_, Some(TypeDefKind::Flags(_))) => "{}".to_owned(),
        (_, Some(TypeDefKind::Enum(cases))) => first(cases.cases.first().map(|case| format!("\"{}\"", case.name))),
        (_, Some(TypeDefKind::Variant(cases))) => {
            first(cases.cases.first().map(|case| tagged(resolve, &case.name, case.ty.as_ref())))
        }
        (_, Some(TypeDefKind::Result(sides))) => tagged(resolve, "ok", sides.ok.as_ref()),
        (_, Some(TypeDefKind::Option(inner))) => match kind(resolve, named(resolve, *inner)) {
            Some(TypeDefKind::Option(_)) => "{ tag: \"none\" }".to_owned(),
            _ => "null".to_owned(),
        },
        // Numbers. No host takes a component with anything else: resources, streams, futures.
        _ => "0".to_owned(),
    }
}

fn optional(resolve: &Resolve, ty: Option<&Type>) -> String {
    ty.map_or_else(|| "undefined".to_owned(), |ty| value(resolve, ty))
}

fn tagged(resolve: &Resolve, tag: &str, ty: Option<&Type>) -> String {
    format!("{{ tag: \"{tag}\", val: {} }}", optional(resolve, ty))
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.map(|(name, value)| format!("{}: {value}", camel(name))).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// The type that another name stands for.
fn named(resolve: &Resolve, ty: Type) -> Type {
    match kind(resolve, ty) {
        Some(TypeDefKind::Type(other)) => named(resolve, *other),
        _ => ty,
    }
}

/// What a type is; `None` where it is one of WIT's own.
fn kind(resolve: &Resolve, ty: Type) -> Option<&TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    resolve.types.get(id).map(|ty| &ty.kind)
}

/// A name as JavaScript has it.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let mut camel = words.next().unwrap_or_default().to_lowercase();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        camel += &letters.as_str().to_lowercase();
    }
    camel
}
