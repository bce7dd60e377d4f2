//! Which handler answers: (namespace, method, version) → generation.
//!
//! Before it: [`load`] makes generations of files, [`keeper`] exchanges them. After it: [`crate::dispatch`] looks up. A catalog is replaced as a
//! whole and never changed: whoever holds one sees one consistent service.

mod candidate;
pub mod describe;
mod directory;
mod endpoint;
mod gate;
mod generation;
mod in_force;
pub mod keeper;
pub mod lead;
pub mod load;
pub(crate) mod manifest;
mod rehearsal;
mod shadowed;
pub mod shelf;
mod staged;
mod traffic;
mod trial;
pub mod watch;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::version::{Malformed, Version};

use candidate::Candidates;
pub use candidate::Chosen;
pub use directory::Scan;
pub use endpoint::Endpoint;
pub use generation::{Generation, Source, Working};
use in_force::InForce;
pub use manifest::delivery::{CONSUMER_TIMEOUT, Policies, Policy};
use shadowed::Shadows;
use traffic::{Called, Traffic};

/// All that is served.
#[derive(Debug, Default)]
pub struct Catalog {
    generations: Vec<Arc<Generation>>,
    /// By namespace: (position in `generations`, position in its endpoints), highest version first.
    by_namespace: HashMap<Option<String>, Vec<(usize, usize)>>,
}

/// Who answers a request.
#[derive(Clone, Debug)]
pub enum Found {
    /// A handler.
    Handler {
        /// Its load that is in force.
        generation: Arc<Generation>,
        /// The endpoint's position in the generation.
        endpoint: u32,
    },
    /// The host itself, with [`Catalog::describe`].
    Describe,
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

/// Why a generation cannot be served beside the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two handlers that offer the same.
    #[error("offers {method} {version}{}, which {serving} serves already", in_namespace(.namespace))]
    Taken {
        /// The namespace.
        namespace: Option<String>,
        /// The version.
        version: Version,
        /// The method.
        method: String,
        /// The name of the other handler.
        serving: String,
    },
    /// A handler that poses as the host.
    #[error("offers namespace {}, which is the host's own: rename it in the manifest", describe::NAMESPACE)]
    Reserved,
}

fn in_namespace(namespace: &Option<String>) -> String {
    namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"))
}

impl Catalog {
    /// This catalog with one generation more, in place of the one of the same name.
    ///
    /// # Errors
    ///
    /// [`Conflict`] where another handler, or another endpoint of the same one, offers the same.
    pub fn with(&self, generation: Arc<Generation>) -> Result<Self, Conflict> {
        let mut generations = self.generations.clone();
        // The newcomer comes last, so that it is the one that is refused; and instead of what had its name.
        generations.retain(|other| other.name != generation.name);
        generations.push(generation);
        Self::of(generations)
    }

    /// This catalog without the handler of this name.
    ///
    /// # Errors
    ///
    /// None in truth: what fits together still does without one of them.
    pub fn without(&self, name: &str) -> Result<Self, Conflict> {
        Self::of(self.generations.iter().filter(|other| other.name != name).cloned().collect())
    }

    fn of(generations: Vec<Arc<Generation>>) -> Result<Self, Conflict> {
        let mut by_namespace: HashMap<_, Vec<(usize, usize)>> = HashMap::new();
        let mut offered = HashMap::new();
        for (at, generation) in generations.iter().enumerate() {
            for (position, endpoint) in generation.endpoints.iter().enumerate() {
                if endpoint.namespace.as_deref() == Some(describe::NAMESPACE) {
                    return Err(Conflict::Reserved);
                }
                for method in &endpoint.methods {
                    let key = (&endpoint.namespace, endpoint.version, method);
                    if let Some(serving) = offered.insert(key, &generation.name) {
                        let Endpoint { namespace, version, .. } = endpoint.clone();
                        let (method, serving) = (method.clone(), serving.clone());
                        return Err(Conflict::Taken { namespace, version, method, serving });
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
        if namespace == Some(describe::NAMESPACE) {
            return match describe::VERSION.serves(version).map_err(Miss::Malformed)? {
                true if method == Some(describe::METHOD) => Ok(Found::Describe),
                true => Err(Miss::NoSuchMethod),
                false => Err(Miss::UnsupportedVersion),
            };
        }
        let mut miss = Miss::UnsupportedVersion;
        let candidates = self.by_namespace.get(&namespace.map(str::to_owned)).map(Vec::as_slice).unwrap_or_default();
        for at in candidates {
            let Some((generation, endpoint)) = self.endpoint(*at) else { continue };
            if !endpoint.version.serves(version).map_err(Miss::Malformed)? {
                continue;
            }
            match method.filter(|method| endpoint.serves(method)) {
                Some(_) => {
                    let endpoint = u32::try_from(at.1).unwrap_or(u32::MAX);
                    return Ok(Found::Handler { generation: Arc::clone(generation), endpoint });
                }
                None => miss = Miss::NoSuchMethod,
            }
        }
        Err(miss)
    }

    /// Whether any endpoint has this namespace.
    #[must_use]
    pub fn has_namespace(&self, namespace: Option<&str>) -> bool {
        namespace == Some(describe::NAMESPACE) || self.by_namespace.contains_key(&namespace.map(str::to_owned))
    }

    /// The versions in which a method is served, in order; where there are several handlers, of all of them.
    #[must_use]
    pub fn versions(&self, namespace: Option<&str>, method: &str) -> Vec<Version> {
        let endpoints = self.generations.iter().flat_map(|generation| &generation.endpoints);
        let served = endpoints
            .filter(|endpoint| endpoint.namespace.as_deref() == namespace && endpoint.serves(method))
            .map(|endpoint| endpoint.version);
        served.collect::<BTreeSet<_>>().into_iter().collect()
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

/// The catalog that is in force, and what it is asked for. Clones are the same.
#[derive(Clone, Debug)]
pub struct Current {
    catalog: InForce<Catalog>,
    traffic: Arc<Traffic>,
    /// Who gets a share of the requests of what is served.
    candidates: Candidates,
    /// Whose runs are compared with those of what is served.
    shadows: Shadows,
}

impl Current {
    /// Starts with a catalog; remembers what was called for `recent`.
    #[must_use]
    pub fn new(catalog: Catalog, recent: Duration) -> Self {
        Self {
            catalog: InForce::new(catalog),
            traffic: Arc::new(Traffic::new(recent)),
            candidates: Candidates::default(),
            shadows: Shadows::default(),
        }
    }

    /// The catalog of this moment; it stays as it is for whoever holds it.
    #[must_use]
    pub fn get(&self) -> Arc<Catalog> {
        self.catalog.get()
    }

    /// Replaces the catalog for all requests to come.
    pub fn replace(&self, catalog: Catalog) {
        self.catalog.change(|_| catalog);
    }

    /// What was called recently.
    fn recent(&self) -> Vec<Called> {
        self.traffic.recent()
    }

    /// How long that is.
    fn remembered(&self) -> Duration {
        self.traffic.within()
    }

    /// Notes that a generation has accepted a request for a method, and holds the generation until it has ended.
    #[must_use]
    pub fn accept(&self, generation: Arc<Generation>, namespace: Option<&str>, version: &str, method: &str) -> Working {
        self.traffic.note(namespace, method, Version::of_request(version));
        Working::begin(generation)
    }
}

#[cfg(test)]
#[path = "catalog/tests.rs"]
mod tests;
