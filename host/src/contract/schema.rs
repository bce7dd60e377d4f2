//! JSON Schema (draft 2020-12) of arguments and results: what a caller may send and will get.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Served, type_names};
use crate::sandbox::typed::{
    Method,
    types::{Cases, Fields, Type},
};

/// One document for a handler: its endpoints, with `arguments`, `result` and `raises` of each method, and `$defs`.
#[must_use]
pub fn document(handler: &str, endpoints: &[Served<'_>]) -> Value {
    let mut definitions = Map::new();
    let mut documents = Vec::new();
    for (served, names) in endpoints.iter().zip(type_names(endpoints)) {
        let schemas = Schemas { names: &names };
        for (ty, name) in &names {
            definitions.insert(name.clone(), schemas.spelled_out(ty));
        }
        let method = |name: &String| {
            let schema = served.method(name).map_or_else(|| json!({}), |(_, method)| schemas.method(method));
            (name.clone(), schema)
        };
        documents.push(json!({
            "namespace": served.namespace,
            "version": served.version.to_string(),
            "methods": served.methods.iter().map(method).collect::<Map<_, _>>(),
        }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": handler,
        "endpoints": documents,
        "$defs": definitions,
    })
}

struct Schemas<'a> {
    names: &'a HashMap<&'a Type, String>,
}

impl Schemas<'_> {
    fn method(&self, method: &Method) -> Value {
        let result = method.result.as_ref().map_or_else(|| json!({"type": "null"}), |ty| self.of(ty));
        let arguments = self.object(&method.parameters);
        match &method.raises {
            Some(raises) => json!({"arguments": arguments, "result": result, "raises": raises.classes()}),
            None => json!({"arguments": arguments, "result": result}),
        }
    }

    /// A reference where the type has a name.
    fn of(&self, ty: &Type) -> Value {
        match self.names.get(ty) {
            Some(name) => json!({"$ref": format!("#/$defs/{name}")}),
            None => self.spelled_out(ty),
        }
    }

    fn spelled_out(&self, ty: &Type) -> Value {
        match ty {
            Type::Bool => json!({"type": "boolean"}),
            Type::Integer(integer) => json!({"type": "integer", "minimum": integer.min(), "maximum": integer.max()}),
            Type::F32 | Type::F64 => json!({"type": "number"}),
            Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Type::String => json!({"type": "string"}),
            Type::Json => json!({}),
            Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Type::List(item) => json!({"type": "array", "items": self.of(item)}),
            Type::Tuple(types) => json!({
                "type": "array", "prefixItems": types.iter().map(|ty| self.of(ty)).collect::<Vec<_>>(), "items": false,
                "minItems": types.len(),
            }),
            Type::Map(types) => json!({"type": "object", "additionalProperties": self.of(&types.1)}),
            Type::Record(fields) => self.object(fields),
            Type::Variant(cases) => self.cases(cases),
            Type::Enum(names) => json!({"enum": names.iter().collect::<Vec<_>>()}),
            Type::Flags(names) => json!({"type": "array", "items": {"enum": names.iter().collect::<Vec<_>>()}}),
            Type::Option(inner) => json!({"anyOf": [self.of(inner), {"type": "null"}]}),
            Type::Some(inner) => only("some", self.of(inner)),
            Type::Result(sides) => {
                let side = |ty: &Option<Type>| ty.as_ref().map_or_else(|| json!({"type": "null"}), |ty| self.of(ty));
                json!({"oneOf": [only("ok", side(&sides.0)), only("err", side(&sides.1))]})
            }
        }
    }

    fn object(&self, fields: &Fields) -> Value {
        let members = || fields.names.iter().zip(&fields.types);
        let required: Vec<&str> =
            members().filter(|(_, ty)| !matches!(ty, Type::Option(_))).map(|(name, _)| name).collect();
        json!({
            "type": "object",
            "properties": members().map(|(name, ty)| (name.to_owned(), self.of(ty))).collect::<Map<_, _>>(),
            "required": required,
            "additionalProperties": false,
        })
    }

    fn cases(&self, cases: &Cases) -> Value {
        let case = |(name, ty): (&str, &Option<Type>)| match ty {
            Some(ty) => only(name, self.of(ty)),
            None => json!({"const": name}),
        };
        json!({"oneOf": cases.names.iter().zip(&cases.types).map(case).collect::<Vec<_>>()})
    }
}

/// An object of one member.
fn only(name: &str, schema: Value) -> Value {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}
