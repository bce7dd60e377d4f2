//! What a handler promises to its callers, as documents: JSON Schema, a Python client, and what has changed.
//!
//! Before it: the command line has loaded a component. Nothing here runs it. The types are those of
//! [`crate::sandbox::typed`]; a dynamic handler has none, and only its methods' names are known.

pub mod changes;
pub mod python;
pub mod schema;

use crate::{
    sandbox::typed::{Endpoint, Method},
    version::Version,
};

/// One endpoint as it is served.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// As it is served.
    pub version: Version,
    /// The methods that are served, in alphabetical order.
    pub methods: Vec<String>,
    /// Its types, where it has some.
    pub types: Option<&'a Endpoint>,
}

impl<'a> Served<'a> {
    /// A method and its types.
    fn method(&self, name: &str) -> Option<(&'a Endpoint, &'a Method)> {
        let types = self.types?;
        Some((types, types.methods.get(name)?))
    }

    /// `compute_task 1.5`, as people are told.
    fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace} {}", self.version),
            None => self.version.to_string(),
        }
    }
}

/// Names for the types of all endpoints in one document: each shape has one name in its endpoint, and the endpoint's
/// class stands before it where two endpoints mean different things by the same name.
fn type_names<'a>(
    endpoints: &'a [Served<'a>],
) -> Vec<std::collections::HashMap<&'a crate::sandbox::typed::types::Type, String>> {
    let mut meanings = std::collections::HashMap::new();
    let named = endpoints.iter().filter_map(|served| served.types).flat_map(|endpoint| &endpoint.type_names);
    for (ty, name) in named {
        meanings.entry(name).or_insert_with(std::collections::HashSet::new).insert(ty);
    }
    let names = |(position, served): (usize, &'a Served<'a>)| {
        let Some(endpoint) = served.types else { return std::collections::HashMap::new() };
        let name = |(ty, name): (&'a _, &String)| match meanings.get(name).map_or(0, std::collections::HashSet::len) {
            0 | 1 => (ty, name.clone()),
            _ => (ty, format!("{}{position}{name}", endpoint.class)),
        };
        endpoint.type_names.iter().map(name).collect()
    };
    endpoints.iter().enumerate().map(names).collect()
}

#[cfg(test)]
mod tests;
