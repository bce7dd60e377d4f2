//! What a handler costs by its language and contract, without a broker: its size, the time to load it, and a call in a
//! fresh instance and in one that is used again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nova_host::{
    capability::Grants,
    catalog::load,
    metrics::Metrics,
    sandbox::{Compiler, Config, Invocation, Limits, Program, RequestInfo, Sandbox},
};
use tokio::runtime::Runtime;

use super::measure::median;
use crate::harness::{Scratch, handlers, languages};

/// The calculators: language, contract, file.
fn calculators() -> Vec<(&'static str, &'static str, PathBuf)> {
    let ours = |name: &str| handlers().join(format!("{name}.wasm"));
    let theirs = |name: &str| languages().join(format!("{name}.wasm"));
    vec![
        ("Rust", "dynamic", ours("calculator")),
        ("Rust", "typed", ours("calculator-typed")),
        ("C", "dynamic", theirs("c")),
        ("C", "typed", theirs("c-typed")),
        ("Go", "dynamic", theirs("go")),
        ("Go", "typed", theirs("go-typed")),
        ("JavaScript", "dynamic", theirs("javascript")),
        ("JavaScript", "typed", theirs("javascript-typed")),
        ("Python", "dynamic", theirs("python")),
        ("Python", "typed", theirs("python-typed")),
    ]
}

/// Two scalars.
const ADD: (&str, &str) = ("add", r#"{"a": 1, "b": 2}"#);

/// Ten scalars of different types.
const TOTAL: (&str, &str) =
    ("total", r#"{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5.5, "f": 6.5, "g": 7, "h": 8, "i": true, "j": 10}"#);

/// Measures so many calls of each of the first calculators, and writes the table.
pub(super) fn run(first: usize, calls: usize) -> String {
    let runtime = runtime();
    let mut text = String::from(
        "| language | contract | size | load, cold | load, warm | call, fresh | call, reused |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (language, contract, path) in calculators().into_iter().take(first) {
        let component = Component::read(&path);
        let scratch = Scratch::new();
        let (_, cold) = component.load(&runtime, &sandbox(&scratch), 1);
        let warm = sandbox(&scratch);
        let (fresh, first) = component.load(&runtime, &warm, 1);
        let again = (0..4).map(|_| component.load(&runtime, &warm, 1).1);
        let warm_load = median(again.chain([first]));
        let (reused, _) = component.load(&runtime, &warm, 1_000_000);
        let [fresh, reused] = [fresh, reused].map(|program| call(&runtime, &program, calls, ADD));
        let kib = component.wasm.len() / 1024;
        writeln!(
            text,
            "| {language} | {contract} | {kib} KiB | {cold:.0} ms | {warm_load:.1} ms | {fresh:.1} µs | {reused:.1} µs |"
        )
        .expect("text grows");
    }
    text
}

/// A call of ten scalars to a dynamic handler and to a typed one, and writes the table.
pub(super) fn contracts(calls: usize) -> String {
    let runtime = runtime();
    let mut text = String::from("| contract | call, fresh | call, reused |\n| --- | --- | --- |\n");
    for (contract, name) in
        [("dynamic, serde in the guest", "calculator"), ("typed, no JSON in the guest", "inventory")]
    {
        let component = Component::read(&handlers().join(format!("{name}.wasm")));
        let scratch = Scratch::new();
        let sandbox = sandbox(&scratch);
        let [fresh, reused] =
            [1, 1_000_000].map(|reuse| call(&runtime, &component.load(&runtime, &sandbox, reuse).0, calls, TOTAL));
        writeln!(text, "| {contract} | {fresh:.1} µs | {reused:.1} µs |").expect("text grows");
    }
    text
}

/// Microseconds of a call, on a worker, where requests run.
fn call(runtime: &Runtime, program: &Program, calls: usize, (method, arguments): (&'static str, &'static str)) -> f64 {
    let program = program.clone();
    let calling = async move {
        let offers = program.describe().await.expect("it says what it offers");
        let endpoint = offers.iter().position(|offer| offer.methods.iter().any(|offered| offered == method));
        let endpoint = u32::try_from(endpoint.expect("it has the method")).expect("a few endpoints");
        let mut all = Vec::with_capacity(calls);
        for _ in 0..calls {
            let invocation = invocation(endpoint, method, arguments);
            let started = Instant::now();
            program.handle(invocation).await.expect("an answer");
            all.push(started.elapsed().as_secs_f64() * 1e6);
        }
        // The first ones bring code and memory into the caches.
        median(all.split_off(calls / 4))
    };
    runtime.block_on(runtime.spawn(calling)).expect("an answer")
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads are free")
}

fn invocation(endpoint: u32, method: &str, arguments: &str) -> Invocation {
    Invocation {
        endpoint,
        method: method.to_owned(),
        namespace: None,
        version: "1.0".to_owned(),
        arguments: arguments.to_owned(),
        info: RequestInfo::bare(),
        since: Instant::now(),
    }
}

fn sandbox(scratch: &Scratch) -> Arc<Sandbox> {
    let cache = scratch.path().join("cache");
    let config =
        Config { max_in_flight: 4, stack: Limits::default().stack, cache: Some(&cache), compiler: Compiler::Here };
    Arc::new(Sandbox::new(config, Metrics::default()).expect("the machine has room"))
}

/// A component and what its manifest grants.
struct Component {
    wasm: Vec<u8>,
    grants: Grants,
}

impl Component {
    fn read(path: &Path) -> Self {
        let wasm = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let manifest = load::read_manifest(path).expect("it can be read");
        let grants = load::grants(manifest.as_deref(), &Limits::default()).expect("the manifest is right");
        Self { wasm, grants }
    }

    /// Loads it; returns how many milliseconds that took as well.
    fn load(&self, runtime: &Runtime, sandbox: &Arc<Sandbox>, reuse: u32) -> (Program, f64) {
        let limits = Limits { reuse, ..Limits::default() };
        let (wasm, grants) = (self.wasm.clone(), self.grants.clone());
        let started = Instant::now();
        let program = runtime.block_on(sandbox.load("calculator", wasm, limits, grants));
        (program.expect("it loads"), started.elapsed().as_secs_f64() * 1e3)
    }
}
