//! What unit tests share: guests of a few lines of WebAssembly text, and a sandbox to run them in.

pub(crate) mod memory;
pub(crate) mod typed;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use crate::{
    capability::Grants,
    catalog::{Catalog, Current, Endpoint, Generation, Source, manifest::Manifest},
    metrics::Metrics,
    sandbox::{Compiler, Config, Invocation, Limits, LoadError, Program, RequestInfo, Sandbox, SetUpError},
    settings::Settings,
    version::Version,
};

#[path = "../../tests/harness/guest.rs"]
mod guest;

pub(crate) use guest::{
    Asks, CALL, CAST, DECLINE, DESCRIBE, ECHO, LOOP, answering, answering_with, asking, guest, guest_with, hoarding,
    marking,
};

/// Limits under which a guest that misbehaves ends soon.
pub(crate) fn tight() -> Limits {
    Limits { timeout: Duration::from_secs(1), ..Limits::default() }
}

/// Limits under which a guest that loops outlasts any test.
pub(crate) fn wide() -> Limits {
    Limits { timeout: Duration::from_secs(600), ..Limits::default() }
}

/// One sandbox for all tests, without a cache.
pub(crate) fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    Arc::clone(SANDBOX.get_or_init(|| fresh_sandbox(64, None).unwrap()))
}

/// Another one.
pub(crate) fn fresh_sandbox(max_in_flight: u16, cache: Option<&Path>) -> Result<Arc<Sandbox>, SetUpError> {
    let config = Config { max_in_flight, stack: Limits::default().stack, cache, compiler: Compiler::Here };
    Sandbox::new(config, Metrics::default()).map(Arc::new)
}

/// A loaded guest.
pub(crate) fn program(handle: &str, limits: Limits) -> Program {
    load(sandbox(), &guest(handle), limits).unwrap()
}

/// A request to a method of the first endpoint.
pub(crate) fn invocation(method: &str, arguments: &str) -> Invocation {
    Invocation {
        endpoint: 0,
        method: method.to_owned(),
        namespace: None,
        version: "1.0".to_owned(),
        arguments: arguments.to_owned(),
        info: RequestInfo::bare(),
        since: Instant::now(),
    }
}

/// Loads a component, where there is a runtime as well as where there is none.
pub(crate) fn load(sandbox: Arc<Sandbox>, component: &[u8], limits: Limits) -> Result<Program, LoadError> {
    load_granted(sandbox, component, limits, Grants::default())
}

/// The same with what a manifest grants.
pub(crate) fn load_granted(
    sandbox: Arc<Sandbox>,
    component: &[u8],
    limits: Limits,
    grants: Grants,
) -> Result<Program, LoadError> {
    let component = component.to_vec();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(sandbox.load("guest", component, limits, grants))
    });
    thread.join().unwrap()
}

/// A generation that offers `methods` in the null namespace.
pub(crate) fn generation(name: &str, version: &str, methods: &[&str], program: Program) -> Arc<Generation> {
    generation_with(name, version, methods, program, "")
}

/// The same with a manifest.
pub(crate) fn generation_with(
    name: &str,
    version: &str,
    methods: &[&str],
    program: Program,
    manifest: &str,
) -> Arc<Generation> {
    let version: Version = version.parse().unwrap();
    let manifest = Manifest::parse(manifest, program.limits()).unwrap();
    let endpoint = Endpoint::new(None, version, methods.iter().map(|method| (*method).to_owned()));
    let source = Source::new(Vec::new(), None);
    Arc::new(Generation::new(name.to_owned(), program, vec![endpoint], source, manifest))
}

/// The catalog in force.
pub(crate) fn current(catalog: Catalog) -> Current {
    Current::new(catalog, Duration::from_secs(600))
}

/// A catalog of one guest, with method `m`.
pub(crate) fn catalog(handle: &str, limits: Limits) -> Catalog {
    Catalog::default().with(generation("guest", "1.0", &["m"], program(handle, limits))).unwrap()
}

/// The section `handlers` where nothing is configured.
pub(crate) fn load_config() -> crate::catalog::load::Config {
    use crate::catalog::load::{Cache, Config};
    Config { cache: Cache::Nowhere, ..Config::read(&mut Settings::default()) }
}

/// What a request must be called for the host to fail over it. Only a fault of ours would do that outside tests.
pub(crate) const PANICS: &str = "the host panics";

/// Panics where a request asks for it.
pub(crate) fn panic_where_asked(request: &crate::envelope::Request) {
    assert_ne!(request.method.text(), Some(PANICS), "on purpose");
}

/// A queue of which the broker in memory never says whether it takes messages.
pub(crate) const SILENT: &str = "silent";

/// Waits for ever where a message is for such a queue.
pub(crate) async fn silent_where_asked(destination: &crate::transport::Destination) {
    let silent = crate::transport::Destination::Queue(SILENT.to_owned());
    if *destination == silent {
        std::future::pending().await
    }
}

/// What a request holds that lends nothing.
pub(crate) fn standing() -> Arc<crate::lending::Standing> {
    use crate::lending::{Lending, Lent, Slot, Standing};
    let permits = Arc::new(tokio::sync::Semaphore::new(1));
    let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
    Arc::new(Standing::new(Lending::new(Lent::default()), Arc::new(Slot::new(permits, permit))))
}
