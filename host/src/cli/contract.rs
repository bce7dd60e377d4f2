//! What a component on disk promises to callers: `schema`, `inspect` and `check --against` look at it.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};

use super::{Exit, Failed};
use crate::{
    catalog::{Generation, load},
    config::Config,
    contract::{Served, changes},
    host,
    metrics::Metrics,
    sandbox::{Program, typed},
};

/// A component that was loaded.
pub(super) struct Contract(Arc<Generation>);

impl Contract {
    /// Loads a component and the manifest beside it.
    pub(super) async fn of(file: &Path, config: &Config) -> Result<Self, Failed> {
        let sandbox = host::sandbox(config, &Metrics::default()).await.map_err(Failed::from)?;
        let refused = |error| Failed::new(Exit::Handlers, format!("{}: {error}", file.display()));
        let name = load::name_of(file).map_err(refused)?;
        let source = load::read(file).map_err(refused)?;
        load::generation(&name, source, &sandbox, &config.limits).await.map(Self).map_err(refused)
    }

    /// Its endpoints as they are served.
    pub(super) fn served(&self) -> Vec<Served<'_>> {
        self.0.served()
    }

    /// What breaks callers of another one.
    pub(super) fn breaks(&self, old: &Self) -> Vec<String> {
        changes::breaking(&old.served(), &self.served())
    }
}

/// The methods of a typed handler with their types, a line each.
pub(super) fn signatures(program: &Program) -> Vec<String> {
    let endpoints = program.interface().map(typed::Interface::endpoints).unwrap_or_default();
    let methods = |endpoint: &typed::Endpoint| -> Vec<String> {
        endpoint.methods.iter().map(|(name, method)| endpoint.signature(name, method)).collect()
    };
    endpoints.iter().flat_map(methods).collect()
}

/// The same for scripts: by the interfaces' exported names; `null` for a dynamic handler.
pub(super) fn signatures_json(program: &Program) -> Value {
    let Some(interface) = program.interface() else { return Value::Null };
    let mut exports = serde_json::Map::new();
    for endpoint in interface.endpoints() {
        let methods = endpoint.methods.iter().map(|(name, method)| (name.clone(), endpoint.signature(name, method)));
        exports.insert(endpoint.export.clone(), json!(methods.collect::<std::collections::BTreeMap<_, _>>()));
    }
    Value::Object(exports)
}
