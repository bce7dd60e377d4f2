//! Makes typed components of WIT and, where they are to run, a module of WebAssembly text.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{
    Function, LiftLowerAbi, ManglingAndAbi, Resolve, WasmExport, WasmExportKind, WorldId, WorldItem, WorldKey,
    abi::{AbiVariant, WasmType},
};

use super::{sandbox, tight};
use crate::{
    envelope::{Answer, Failure},
    sandbox::{Fault, Invocation, LoadError, Program},
};

fn resolve(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("test")).unwrap();
    (resolve, world)
}

fn encode(mut module: Vec<u8>, (resolve, world): (Resolve, WorldId)) -> Vec<u8> {
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A component with the world `test` of this WIT, of which every function traps.
pub(crate) fn types_only(wit: &str) -> Vec<u8> {
    let (resolve, world) = resolve(wit);
    let mut functions = String::new();
    for (key, item) in &resolve.worlds[world].exports {
        match item {
            WorldItem::Function(function) => functions.push_str(&trap(&resolve, None, function)),
            WorldItem::Interface { id, .. } => {
                for function in resolve.interfaces[*id].functions.values() {
                    functions.push_str(&trap(&resolve, Some(key), function));
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    let realloc = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)"#;
    let module = format!(r#"(module (memory (export "memory") 1) {realloc} {functions})"#);
    encode(wat::parse_str(module).unwrap(), (resolve, world))
}

/// A core function that traps, as wit-component looks for it.
fn trap(resolve: &Resolve, interface: Option<&WorldKey>, function: &Function) -> String {
    let export = WasmExport::Func { interface, func: function, kind: WasmExportKind::Normal };
    let name = resolve.wasm_export_name(ManglingAndAbi::Legacy(LiftLowerAbi::Sync), export);
    let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
    let list = |types: &[WasmType]| {
        let name = |ty: &WasmType| match ty {
            WasmType::I64 | WasmType::PointerOrI64 => " i64",
            WasmType::F32 => " f32",
            WasmType::F64 => " f64",
            WasmType::I32 | WasmType::Pointer | WasmType::Length => " i32",
        };
        types.iter().map(name).collect::<String>()
    };
    let (parameters, results) = (list(&signature.params), list(&signature.results));
    format!(r#"(func (export "{name}") (param{parameters}) (result{results}) unreachable)"#)
}

/// The same with a module that runs.
pub(crate) fn component(wit: &str, module: &str) -> Vec<u8> {
    encode(wat::parse_str(module).unwrap(), resolve(wit))
}

/// Loads a component.
pub(crate) fn load(component: &[u8]) -> Result<Program, LoadError> {
    super::load(sandbox(), component, tight())
}

/// A request to a method of the first endpoint; `second.` before it means the second.
pub(crate) fn invocation(method: &str, arguments: &str) -> Invocation {
    let (endpoint, method) = match method.split_once('.') {
        Some((_, method)) => (1, method),
        None => (0, method),
    };
    Invocation { endpoint, ..super::invocation(method, arguments) }
}

/// What becomes of a request.
pub(crate) async fn answer(program: &Program, method: &str, arguments: &str) -> Result<Answer, Fault> {
    program.handle(invocation(method, arguments)).await
}

/// The failure that a request ends in.
pub(crate) async fn failure(program: &Program, method: &str, arguments: &str) -> Failure {
    match answer(program, method, arguments).await {
        Ok(Answer::Failure(failure)) => failure,
        other => panic!("{other:?}"),
    }
}
