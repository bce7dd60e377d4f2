//! The description of all routes, in OpenAPI 3.1, whose schemas are JSON Schema as the types' own are.
//!
//! Before it: [`super::routes`]. After it: `/api/v1/openapi.json`. There is nothing here that a route could forget to say.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    problem::{PROBLEM, Problem},
    route::{Route, Takes},
};
use crate::operate::Role;

/// Describes routes.
pub(super) fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(methods) = path {
            methods.insert(route.method.as_str().to_lowercase(), operation(route, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nova Host",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Operates a running Nova Host. A change takes a token, or the header `X-Nova-Host: 1`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "nova-host-session",
                    "description": "Over TLS its name begins with __Host-; a port of the service that is not the usual one is behind it, as in nova-host-session-9465.",
                },
                "certificate": {"type": "mutualTLS"},
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "responses": {
            "200": {"description": "It is done.", "content": content(route.gives.content_type, route.gives.schema.map(|make| make(schemas)))},
            "default": {"description": "Why not.", "content": content(PROBLEM, Some(schemas.subschema_for::<Problem>()))},
        },
        "security": [],
    });
    let Value::Object(fields) = &mut operation else { return operation };
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = route.query.iter().map(|(name, means)| {
        json!({"name": name, "in": "query", "required": *name == "name", "description": means, "schema": {"type": "string"}})
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    if !parameters.is_empty() {
        fields.insert("parameters".to_owned(), parameters.into());
    }
    let body = match route.takes {
        Takes::Nothing => None,
        Takes::Json(make) => Some(content(super::asked::JSON, Some(make(schemas)))),
        Takes::Bytes(content_type) => Some(content(content_type, None)),
    };
    if let Some(body) = body {
        fields.insert("requestBody".to_owned(), json!({"required": true, "content": body}));
    }
    if let Some(role) = route.role {
        fields.insert("security".to_owned(), json!([{"token": []}, {"session": []}, {"certificate": []}, {}]));
        let needed = match role {
            Role::Read => "Takes the role `read`.",
            Role::Operate => "Takes the role `operate`.",
        };
        fields.insert("description".to_owned(), needed.into());
    }
    operation
}

fn content(content_type: &str, schema: Option<schemars::Schema>) -> Value {
    json!({ content_type: schema.map_or_else(|| json!({}), |schema| json!({"schema": schema})) })
}

/// `get_handlers_name_rollback`.
fn name(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !["", "api", "v1"].contains(word));
    let name = words.fold(route.method.as_str().to_lowercase(), |name, word| format!("{name}_{word}"));
    // Those at the top would have the names of those below.
    if route.path.starts_with("/api/") { name } else { format!("{name}_top") }
}
