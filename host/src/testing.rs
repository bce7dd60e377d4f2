//! What unit tests share: guests of a few lines of WebAssembly text, and a sandbox to run them in.

pub(crate) mod typed;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Semaphore;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{
    catalog::{Catalog, Endpoint, Generation},
    metrics::Metrics,
    sandbox::{Compiler, Limits, LoadError, Program, Sandbox},
    version::Version,
};

/// `describe` of a guest that offers method `m`, version 1.0, null namespace.
pub(crate) const DESCRIBE: &str = "(i32.const 100)";

/// `handle` that returns the arguments.
pub(crate) const ECHO: &str =
    "(i32.store (i32.const 404) (local.get 8)) (i32.store (i32.const 408) (local.get 9)) (i32.const 400)";

/// `handle` that never ends.
pub(crate) const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// A component of which `handle` has this body. Its parameters are, flattened: 0 the endpoint, 1 and 2 the method, 3 to
/// 5 the namespace, 6 and 7 the version, 8 and 9 the arguments. A result lies at 400: a byte that is 0 for ok, then
/// from 404 the string.
pub(crate) fn guest(handle: &str) -> Vec<u8> {
    guest_with(DESCRIBE, handle, "")
}

/// The same with a body of `describe`, and other fields of the module.
pub(crate) fn guest_with(describe: &str, handle: &str, fields: &str) -> Vec<u8> {
    // The list of endpoints is at 100, the endpoint at 200, its list of methods at 300.
    let module = format!(
        r#"(module
            (import "nova:rpc/log@0.1.0" "panicking" (func $panicking (param i32 i32)))
            (memory $memory (export "memory") 1)
            (global $free (mut i32) (i32.const 4096))
            (data (i32.const 100) "\c8\00\00\00\01\00\00\00")
            (data (i32.const 200) "\00\00\00\00\00\00\00\00\00\00\00\00\e8\03\00\00\03\00\00\00\2c\01\00\00\01\00\00\00")
            (data (i32.const 300) "\f2\03\00\00\01\00\00\00")
            (data (i32.const 1000) "1.0")
            (data (i32.const 1010) "m")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (global.get $free))
                (global.set $free
                    (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))
                (local.get $at))
            (func $describe (export "nova:rpc/handler@0.1.0#describe") (result i32) {describe})
            (func $handle (export "nova:rpc/handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {handle})
            {fields})"#
    );
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("dynamic")).unwrap();
    let mut bytes = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&bytes).unwrap().validate(true).encode().unwrap()
}

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
    Arc::clone(SANDBOX.get_or_init(|| Arc::new(Sandbox::new(64, None, Compiler::Here, Metrics::default()).unwrap())))
}

/// A loaded guest.
pub(crate) fn program(handle: &str, limits: Limits) -> Program {
    load(sandbox(), &guest(handle), limits).unwrap()
}

/// Loads a component, where there is a runtime as well as where there is none.
pub(crate) fn load(sandbox: Arc<Sandbox>, component: &[u8], limits: Limits) -> Result<Program, LoadError> {
    let component = component.to_vec();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(sandbox.load("guest", component, limits))
    });
    thread.join().unwrap()
}

/// A generation that offers `methods` in the null namespace.
pub(crate) fn generation(name: &str, version: &str, methods: &[&str], program: Program) -> Arc<Generation> {
    let version: Version = version.parse().unwrap();
    let concurrency = program.limits().concurrency.map(|limit| Arc::new(Semaphore::new(usize::from(limit))));
    let methods = methods.iter().map(|method| (*method).to_owned()).collect();
    Arc::new(Generation {
        name: name.to_owned(),
        number: 1,
        concurrency,
        program,
        endpoints: vec![Endpoint { namespace: None, version, methods }],
    })
}

/// A catalog of one guest, with method `m`.
pub(crate) fn catalog(handle: &str, limits: Limits) -> Catalog {
    Catalog::default().with(generation("guest", "1.0", &["m"], program(handle, limits))).unwrap()
}
