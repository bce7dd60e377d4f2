//! Runs handlers: WebAssembly components, each request in an instance of its own unless the manifest says otherwise. The only place that knows wasmtime.
//!
//! Before it: [`crate::catalog`] loads components, [`crate::dispatch`] runs requests. After it: the guest. A guest is
//! taken for an attacker: whatever it does ends as an [`Answer`](crate::envelope::Answer) or a [`Fault`], within the
//! limits, and neither the host nor another handler notices.

mod bindings;
mod cache;
mod client;
mod compile;
mod config;
mod cpu;
mod engine;
mod failure;
mod fault;
mod images;
mod instance;
mod keyvalue;
pub mod limits;
mod log;
mod offer;
mod places;
mod program;
mod request_info;
mod state;
mod tape;
mod trace;
mod turns;
pub mod typed;
mod wasi;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::{Engine, component::Linker};

use crate::{
    capability::{GRANTABLE, Grants},
    fair::extra,
    lending::most_lent,
    metrics::{Code, Metrics},
    printable::{printable, written},
    settings::Bytes,
};

pub use cache::Error as CacheError;
pub use compile::{CompileLimits, Compiler, child};
pub use fault::{Fault, ended};
pub use limits::Limits;
pub use offer::EndpointOffer;
pub use places::{Full, Place};
use program::Allowed;
pub use program::{Invocation, Program};
pub use request_info::RequestInfo;
pub use tape::{Difference, Played, Rule, Tape, Taped};
pub use trace::{Ids, Marks, marks};

/// The largest component that is loaded: 128 MiB. Python's, the largest in use, have 20.
pub const MAX_COMPONENT: usize = 128 << 20;

/// Instances beyond those for requests in flight, for what runs before a version serves: `describe`, self-tests, recordings.
const SPARE_INSTANCES: u32 = 4;

/// Instances that wait for another request of a handler that reuses them, at most: beyond it, and beyond `max_in_flight`, a
/// new one is as good. Each takes memory, and reserves address space as a request in flight does.
const MAX_KEPT: u16 = 256;

/// Of the requests in flight, one in so many may wait until its deadline for a place of its handler; see [`places`].
const WAITING: u16 = 2;

/// Names that a message lists.
const SHOWN: usize = 10;

/// Bytes of each.
const MAX_SHOWN: usize = 100;

/// Bytes of wasmtime's words, which may hold a component's names.
const MAX_CHAIN: usize = 1000;

/// What a sandbox is made of.
#[derive(Debug)]
pub struct Config<'a> {
    /// Requests at once, of all handlers together.
    pub max_in_flight: u16,
    /// The guests' call stack.
    pub stack: Bytes,
    /// Where compiled code is kept; `None` keeps none.
    pub cache: Option<&'a Path>,
    /// Who compiles.
    pub compiler: Compiler,
}

/// Everything that all handlers share.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<state::State>,
    shared: Arc<Shared>,
    cache: Option<Arc<cache::Cache>>,
    compilations: Arc<compile::Compilations>,
    metrics: Metrics,
    stack: Bytes,
}

/// What all programs share.
#[derive(Debug)]
struct Shared {
    ticker: engine::Ticker,
    turns: turns::Turns,
    /// Where requests wait for a place of their handler.
    room: Arc<Semaphore>,
    /// Instances that may be kept.
    kept: Arc<Semaphore>,
}

/// SHA-256 of a component, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest(String);

/// Why a component is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Larger than [`MAX_COMPONENT`].
    #[error("the file has {0} bytes, more than the {MAX_COMPONENT} that are loaded")]
    TooLarge(usize),
    /// Does not begin like WebAssembly.
    #[error("not WebAssembly: the file does not begin with \\0asm")]
    NotWasm,
    /// A core module.
    #[error(
        "a core module, not a component: build it with wasm-component-ld as the linker (see docs/handlers.md), or make \
         it one with `wasm-tools component new`"
    )]
    CoreModule,
    /// Does not validate or compile.
    #[error("does not compile: {0}")]
    Compile(String),
    /// Not within the time.
    #[error("compiling it takes longer than {0:?} (handlers.compile_timeout)")]
    CompileTime(Duration),
    /// Not within the memory.
    #[error("compiling it takes more than {0} of memory (handlers.compile_memory)")]
    CompileMemory(Bytes),
    /// The compiler could not do its work.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// Its memory cannot be laid out.
    #[error("the images of its memory cannot be made: {0}")]
    Images(String),
    /// More memories, tables or instances than the engine has room for.
    #[error("is not accepted: {0}")]
    Shape(String),
    /// Imports that nobody offers.
    #[error(
        "imports {}, which no handler is given; what is offered: {}; {}",
        some(.0), bindings::OFFERED.join(", "), wasi::NAME
    )]
    Imports(Vec<String>),
    /// Imports that a manifest could grant, and does not.
    #[error("imports {}: grant it in the manifest, or leave it out; see docs/capabilities.md", not_granted(.0))]
    NotGranted(Vec<String>),
    /// An import that is offered, but not like this; or the export that is missing.
    #[error("does not fit the world nova:rpc/dynamic: {0}")]
    World(String),
    /// A typed handler's interface.
    #[error(transparent)]
    Typed(#[from] typed::Error),
    /// `describe` failed.
    #[error("describe failed: {0}")]
    Describe(Fault),
    /// What `describe` returned makes no sense.
    #[error("describe returned {0}")]
    Description(String),
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set up the WebAssembly engine: {0}; each request in flight, and each instance that is kept, reserves 16 GiB of \
     address space, so lower max_in_flight or raise the limit on it (ulimit -v)"
)]
pub struct Error(String);

impl Sandbox {
    /// Makes the engine, and room for the requests.
    ///
    /// # Errors
    ///
    /// [`Error`] where the machine refuses the address space, [`CacheError`] where the directory cannot be trusted.
    pub fn new(config: Config<'_>, metrics: Metrics) -> Result<Self, SetUpError> {
        let Config { max_in_flight, stack, cache, compiler } = config;
        let kept = max_in_flight.min(MAX_KEPT);
        let lent = most_lent(max_in_flight);
        let running = u32::from(max_in_flight) + u32::from(extra(max_in_flight));
        let instances = running + u32::from(lent) + u32::from(kept) + SPARE_INSTANCES;
        let engine = engine::engine(instances, stack).map_err(|error| Error(chain(&error)))?;
        let linker = state::linker(&engine).map_err(|error| Error(chain(&error)))?;
        let cache = cache.map(|directory| cache::Cache::open(directory, &engine)).transpose()?;
        let shared = Arc::new(Shared {
            ticker: engine::Ticker::start(&engine)?,
            turns: turns::Turns::new(),
            room: Arc::new(Semaphore::new(usize::from(max_in_flight / WAITING))),
            kept: Arc::new(Semaphore::new(usize::from(kept))),
        });
        let (cache, compilations) = (cache.map(Arc::new), Arc::new(compile::Compilations::new(compiler)));
        Ok(Self { engine, linker, shared, cache, compilations, metrics, stack })
    }

    /// Another sandbox with the same stack, cache and compiler, in which so many guests have room beside those that are loaded. It takes
    /// no instance and no turn of this one, and counts nothing of what it runs.
    ///
    /// # Errors
    ///
    /// [`Error`] where the machine refuses the address space.
    pub fn annex(&self, guests: u16) -> Result<Self, Error> {
        let engine = engine::engine(u32::from(guests) + SPARE_INSTANCES, self.stack);
        let engine = engine.map_err(|error| Error(chain(&error)))?;
        let linker = state::linker(&engine).map_err(|error| Error(chain(&error)))?;
        let shared = Arc::new(Shared {
            ticker: engine::Ticker::start(&engine)?,
            turns: turns::Turns::new(),
            room: Arc::new(Semaphore::new(usize::from(guests))),
            kept: Arc::new(Semaphore::new(0)),
        });
        let (cache, compilations) = (self.cache.clone(), Arc::clone(&self.compilations));
        Ok(Self { engine, linker, shared, cache, compilations, metrics: Metrics::default(), stack: self.stack })
    }

    /// Compiles a component, or takes its code from the cache, and checks that it fits the world, with what is granted to
    /// it. `name` is the handler's.
    ///
    /// Takes seconds for large components, in which it holds up nobody: see [`compile`].
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, nothing is loaded, and a compilation ends.
    pub async fn load(
        self: &Arc<Self>,
        name: &str,
        wasm: Vec<u8>,
        limits: Limits,
        grants: Grants,
    ) -> Result<Program, LoadError> {
        check(&wasm)?;
        let known = self.aside(move |sandbox| {
            let digest = Digest::of(&wasm);
            let component = sandbox.cache.as_ref().and_then(|cache| cache.get(&digest, &sandbox.engine));
            (wasm, digest, component)
        });
        let (wasm, digest, known) = known.await?;
        let code = match &known {
            Some(_) => Vec::new(),
            None => self.compile(&wasm).await?,
        };
        drop(wasm);
        self.metrics.code(if known.is_some() { Code::Cached } else { Code::Compiled });
        let metrics = self.metrics.handler(name);
        let made = self.aside(move |sandbox| {
            let component = match known {
                Some(component) => component,
                None => {
                    let component =
                        compile::trusted(&sandbox.engine, &code).map_err(|error| LoadError::Shape(chain(&error)))?;
                    if let Some(cache) = &sandbox.cache {
                        cache.put(&digest, &code);
                    }
                    component
                }
            };
            images::make(&component)?;
            let Sandbox { engine, linker, shared, .. } = sandbox;
            let allowed = Allowed { limits, grants: Arc::new(grants) };
            Program::new(engine, linker, &component, Arc::clone(shared), digest, allowed, metrics)
        });
        made.await?
    }

    async fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let started = Instant::now();
        let compiled = self.compilations.compile(&self.engine, wasm).await;
        match compiled {
            Ok(_) => self.metrics.compiled_in(started.elapsed()),
            Err(_) => self.metrics.code(Code::Failed),
        }
        compiled
    }

    /// Does what takes a while on a thread that may be blocked.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let sandbox = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&sandbox)).await;
        done.map_err(|error| LoadError::Compiler(error.to_string()))
    }
}

/// The first of some names, fit for a line: a component may import thousands.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| printable(name, MAX_SHOWN)).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Imports that a manifest could grant, and the setting for each.
fn not_granted(imports: &[String]) -> String {
    let setting = |import: &String| {
        let interface = import.split('@').next().unwrap_or_default();
        let setting = GRANTABLE.iter().find(|(name, _)| *name == interface).map_or("", |(_, setting)| setting);
        format!("{}, which is not granted ({setting})", printable(import, MAX_SHOWN))
    };
    imports.iter().map(setting).collect::<Vec<_>>().join(", ")
}

/// Looks at the first bytes.
fn check(wasm: &[u8]) -> Result<(), LoadError> {
    if wasm.len() > MAX_COMPONENT {
        return Err(LoadError::TooLarge(wasm.len()));
    }
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, _]) => Ok(()),
        Some([0, b'a', b's', b'm', ..]) => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// Why there is no sandbox, or no cache for it.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// No engine.
    #[error(transparent)]
    Engine(#[from] Error),
    /// No cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The whole digest, 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// A wasmtime error and its causes in one line, without the backtrace.
fn chain(error: &wasmtime::Error) -> String {
    // One of them shows all frames.
    let causes: Vec<String> = error.chain().map(|cause| written(&cause, MAX_CHAIN)).collect();
    printable(&causes.join(": ").replace('\n', " "), MAX_CHAIN)
}

#[cfg(test)]
#[path = "sandbox/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sandbox/attack_tests.rs"]
mod attack_tests;

#[cfg(test)]
#[path = "sandbox/decline_tests.rs"]
mod decline_tests;

#[cfg(test)]
#[path = "sandbox/instance_tests.rs"]
mod instance_tests;
