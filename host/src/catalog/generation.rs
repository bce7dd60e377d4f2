//! One load of one handler: its code, what it offers, and how much it is working.
//!
//! Before it: [`super::load`] makes it. After it: [`super::Catalog`] holds it while it serves; whoever runs a request on
//! it holds it as [`Working`], so that it goes when it is replaced and its last request has ended.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use super::{Policy, manifest::Manifest};
use crate::{
    sandbox::{Digest, Program},
    version::Version,
};

/// One load of one handler.
#[derive(Debug)]
pub struct Generation {
    /// The handler's name: its file without the ending.
    pub name: String,
    /// Counts the loads of this process, from 1.
    pub number: u64,
    /// When it was loaded.
    pub loaded: SystemTime,
    /// The code.
    pub program: Program,
    /// What it offers; the position is what `handle` is told.
    pub endpoints: Vec<Endpoint>,
    /// What it was made of.
    pub source: Source,
    /// What else its manifest says.
    pub(super) manifest: Manifest,
    in_flight: AtomicUsize,
    accepted: AtomicU64,
}

/// The files of a handler, as they were read.
#[derive(Clone, Debug)]
pub struct Source {
    /// The component.
    pub wasm: Arc<[u8]>,
    /// Its digest.
    pub digest: Digest,
    /// The manifest, where there is one.
    pub manifest: Option<String>,
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
    /// What the component itself calls it, where the manifest says otherwise.
    pub renamed_from: Option<(Option<String>, Version)>,
    /// What the component offers and the manifest hides.
    pub hidden: BTreeSet<String>,
}

/// A generation while a request runs on it.
#[derive(Debug)]
pub struct Working(Arc<Generation>);

impl Generation {
    /// Makes the next generation of a handler.
    pub(crate) fn new(
        name: String,
        program: Program,
        endpoints: Vec<Endpoint>,
        source: Source,
        manifest: Manifest,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self {
            name,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            loaded: SystemTime::now(),
            program,
            endpoints,
            source,
            manifest,
            in_flight: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
        }
    }

    /// Requests of its manifest's that it has passed.
    #[must_use]
    pub fn selftests(&self) -> usize {
        self.manifest.selftests.len()
    }

    /// The delivery policy of a method, where its manifest says anything about it.
    #[must_use]
    pub fn policy(&self, method: &str) -> Option<Policy> {
        self.manifest.policies.of(method)
    }

    /// Requests that run on it now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that it has accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        tracing::debug!(handler = self.name, generation = self.number, accepted = self.accepted(), "generation freed");
    }
}

impl Source {
    /// Takes the files' content.
    #[must_use]
    pub fn new(wasm: Vec<u8>, manifest: Option<String>) -> Self {
        Self { digest: Digest::of(&wasm), wasm: wasm.into(), manifest }
    }
}

/// By content. Digests stand for the components.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.digest, &self.manifest) == (&other.digest, &other.manifest)
    }
}

impl Endpoint {
    /// An endpoint that is served as the component offers it.
    pub fn new(namespace: Option<String>, version: Version, methods: impl IntoIterator<Item = String>) -> Self {
        let methods = methods.into_iter().collect();
        Self { namespace, version, methods, renamed_from: None, hidden: BTreeSet::new() }
    }

    /// Whether it answers this method. As by the reference's default access policy, `_names` are private.
    #[must_use]
    pub fn serves(&self, method: &str) -> bool {
        !method.starts_with('_') && self.methods.contains(method)
    }
}

impl Working {
    pub(super) fn begin(generation: Arc<Generation>) -> Self {
        generation.in_flight.fetch_add(1, Ordering::Relaxed);
        generation.accepted.fetch_add(1, Ordering::Relaxed);
        Self(generation)
    }
}

impl Deref for Working {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.0
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
