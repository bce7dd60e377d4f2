//! Which handler answers: (namespace, method, version) → generation.
//!
//! Before it: [`load`] makes generations of files. After it: [`crate::dispatch`] looks up. A catalog is replaced as a
//! whole and never changed: whoever holds one sees one consistent service.

pub mod load;
mod manifest;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    sandbox::{EndpointOffer, Program},
    version::{Malformed, Version},
};

/// One load of one handler.
#[derive(Debug)]
pub struct Generation {
    /// The handler's name: its file without the ending.
    pub name: String,
    /// Counts the loads of this process, from 1.
    pub number: u64,
    /// The code.
    pub program: Program,
    /// What it offers; the position is what `handle` is told.
    pub endpoints: Vec<Endpoint>,
}

/// Methods under one namespace and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// What it implements.
    pub version: Version,
    /// Method names.
    pub methods: HashSet<String>,
}

/// All that is served.
#[derive(Debug, Default)]
pub struct Catalog {
    generations: Vec<Arc<Generation>>,
    /// By namespace: (position in `generations`, position in its endpoints), highest version first.
    by_namespace: HashMap<Option<String>, Vec<(usize, usize)>>,
}

/// Who answers a request.
#[derive(Clone, Debug)]
pub struct Found {
    /// The handler.
    pub generation: Arc<Generation>,
    /// The endpoint's position in the generation.
    pub endpoint: u32,
}

/// Why nobody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// An endpoint fits, and has no such method.
    NoSuchMethod,
    /// No endpoint of this namespace serves this version.
    UnsupportedVersion,
    /// The version cannot be read.
    Malformed(Malformed),
}

/// Two handlers that offer the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offers {method} {version}{}, which {serving} serves already", in_namespace(.namespace))]
pub struct Conflict {
    namespace: Option<String>,
    version: Version,
    method: String,
    serving: String,
}

fn in_namespace(namespace: &Option<String>) -> String {
    namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"))
}

impl Endpoint {
    /// Takes what a guest offers.
    ///
    /// # Errors
    ///
    /// The version's, where it is not one.
    pub fn new(offer: EndpointOffer) -> Result<Self, crate::version::ParseError> {
        let EndpointOffer { namespace, version, methods } = offer;
        Ok(Self { namespace, version: version.parse()?, methods: methods.into_iter().collect() })
    }
}

impl Catalog {
    /// This catalog with one generation more.
    ///
    /// # Errors
    ///
    /// [`Conflict`] where another handler, or another endpoint of the same one, offers the same.
    pub fn with(&self, generation: Arc<Generation>) -> Result<Self, Conflict> {
        let mut generations = self.generations.clone();
        generations.push(generation);
        Self::of(generations)
    }

    fn of(generations: Vec<Arc<Generation>>) -> Result<Self, Conflict> {
        let mut by_namespace: HashMap<_, Vec<(usize, usize)>> = HashMap::new();
        let mut offered = HashMap::new();
        for (at, generation) in generations.iter().enumerate() {
            for (position, endpoint) in generation.endpoints.iter().enumerate() {
                for method in &endpoint.methods {
                    let key = (&endpoint.namespace, endpoint.version, method);
                    if let Some(serving) = offered.insert(key, &generation.name) {
                        let Endpoint { namespace, version, .. } = endpoint.clone();
                        return Err(Conflict { namespace, version, method: method.clone(), serving: serving.clone() });
                    }
                }
                by_namespace.entry(endpoint.namespace.clone()).or_default().push((at, position));
            }
        }
        let mut catalog = Self { generations, by_namespace: HashMap::new() };
        for positions in by_namespace.values_mut() {
            positions.sort_by_key(|at| std::cmp::Reverse(catalog.endpoint(*at).map(|(_, endpoint)| endpoint.version)));
        }
        catalog.by_namespace = by_namespace;
        Ok(catalog)
    }

    /// Finds who answers: among the endpoints of the namespace that serve the version, the highest that has the method.
    ///
    /// `version` must be text here; what else a message may hold there is [`crate::dispatch`]'s.
    ///
    /// # Errors
    ///
    /// [`Miss`].
    pub fn find(&self, namespace: Option<&str>, version: &str, method: Option<&str>) -> Result<Found, Miss> {
        let mut miss = Miss::UnsupportedVersion;
        let candidates = self.by_namespace.get(&namespace.map(str::to_owned)).map(Vec::as_slice).unwrap_or_default();
        for at in candidates {
            let Some((generation, endpoint)) = self.endpoint(*at) else { continue };
            if !endpoint.version.serves(version).map_err(Miss::Malformed)? {
                continue;
            }
            // As by the reference's default access policy, `_names` are private.
            match method.filter(|method| !method.starts_with('_') && endpoint.methods.contains(*method)) {
                Some(_) => {
                    let endpoint = u32::try_from(at.1).unwrap_or(u32::MAX);
                    return Ok(Found { generation: Arc::clone(generation), endpoint });
                }
                None => miss = Miss::NoSuchMethod,
            }
        }
        Err(miss)
    }

    /// Whether any endpoint has this namespace.
    #[must_use]
    pub fn has_namespace(&self, namespace: Option<&str>) -> bool {
        self.by_namespace.contains_key(&namespace.map(str::to_owned))
    }

    /// All handlers, in the order of their loading.
    #[must_use]
    pub fn generations(&self) -> &[Arc<Generation>] {
        &self.generations
    }

    fn endpoint(&self, (at, position): (usize, usize)) -> Option<(&Arc<Generation>, &Endpoint)> {
        let generation = self.generations.get(at)?;
        Some((generation, generation.endpoints.get(position)?))
    }
}

/// The catalog that is in force. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Current(Arc<RwLock<Arc<Catalog>>>);

impl Current {
    /// The catalog of this moment; it stays as it is for whoever holds it.
    #[must_use]
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the catalog for all requests to come.
    pub fn replace(&self, catalog: Catalog) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }
}

#[cfg(test)]
#[path = "catalog/tests.rs"]
mod tests;
