//! One load of one handler: its code, what it offers, and how much it is working.
//!
//! Before it: [`super::load`] makes it. After it: [`super::Catalog`] holds it while it serves; whoever runs a request on
//! it holds it as [`Working`], so that it goes when it is replaced and its last request has ended.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    Policy,
    endpoint::Endpoint,
    manifest::{Manifest, delivery::CONSUMER_TIMEOUT},
};
use crate::{
    contract::Served,
    gate::Demands,
    printable::printable,
    sandbox::{Digest, Program, typed},
};

/// Bytes of a method's name in a warning.
const MAX_METHOD: usize = 64;

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

    /// What its operator should know although it serves, in a line; `policy` is that of methods of which the manifest says
    /// nothing.
    #[must_use]
    pub fn warning(&self, policy: Policy) -> Option<String> {
        let timeout = self.program.limits().timeout;
        if timeout <= CONSUMER_TIMEOUT {
            return None;
        }
        let waits = |method: &&String| self.policy(method).unwrap_or(policy) == Policy::AtLeastOnce;
        let mut methods: Vec<&String> = self.endpoints.iter().flat_map(Endpoint::served).filter(waits).collect();
        methods.sort_unstable();
        methods.dedup();
        let (first, others) = methods.split_first()?;
        let first = printable(first, MAX_METHOD);
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        Some(format!(
            "limits.timeout is {timeout:?}, and RabbitMQ takes a request back that is not acknowledged within \
             {CONSUMER_TIMEOUT:?}, with all others in flight: raise its consumer_timeout, or make {first}{others} at-most-once"
        ))
    }

    /// What its manifest demands of it, and of the next version.
    #[must_use]
    pub fn gate(&self) -> &Demands {
        &self.manifest.gate
    }

    /// Its endpoints as they are served, with their types where it has some.
    #[must_use]
    pub fn served(&self) -> Vec<Served<'_>> {
        let types = self.program.interface().map(typed::Interface::endpoints).unwrap_or_default();
        let served = |(position, endpoint): (usize, &Endpoint)| {
            let mut methods: Vec<String> = endpoint.served().cloned().collect();
            methods.sort_unstable();
            Served {
                namespace: endpoint.namespace.clone(),
                version: endpoint.version,
                methods,
                types: types.get(position),
            }
        };
        self.endpoints.iter().enumerate().map(served).collect()
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

impl Generation {
    /// The position of its endpoint that answers a method: of those that serve the version, the highest that has it.
    pub(super) fn endpoint(&self, namespace: Option<&str>, version: &str, method: &str) -> Option<u32> {
        let endpoints = self.endpoints.iter().enumerate().filter(|(_, endpoint)| {
            endpoint.namespace.as_deref() == namespace
                && endpoint.serves(method)
                && endpoint.version.serves(version).is_ok_and(|serves| serves)
        });
        let (at, _) = endpoints.max_by_key(|(_, endpoint)| endpoint.version)?;
        u32::try_from(at).ok()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        tracing::debug!(handler = self.name, generation = self.number, accepted = self.accepted(), "generation freed");
    }
}

/// Seconds since 1970; a clock before that is at its beginning.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
