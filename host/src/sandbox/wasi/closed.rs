//! `wasi:filesystem` and `wasi:sockets`: language runtimes link them and no handler has any of it.
//!
//! No function here does anything. What a component imports is linked by its own types: a list is empty, an option is
//! none, a result is the error that means "not allowed", and everything else, which needs a file or a socket first, ends
//! the guest.

use wasmtime::{
    Engine, StoreContextMut,
    component::{Component, Linker, LinkerInstance, Resource, ResourceAny, ResourceType, Type, Val, types},
};

use super::{View, misuse};

/// The interfaces.
const INTERFACES: [&str; 9] = [
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Their own resources; the others are of `wasi:io`.
const RESOURCES: [&str; 8] = [
    "descriptor",
    "directory-entry-stream",
    "incoming-datagram-stream",
    "network",
    "outgoing-datagram-stream",
    "resolve-address-stream",
    "tcp-socket",
    "udp-socket",
];

/// What their errors call it, in the order of preference.
const DENIED: [&str; 3] = ["access-denied", "access", "not-permitted"];

/// A file or a socket. There is only the `network`, with which nothing can be done.
struct Nothing;

/// What a function answers, whatever it is asked.
#[derive(Clone)]
enum Answer {
    Value(Val),
    Network,
    End,
}

pub(super) fn is(name: &str) -> bool {
    INTERFACES.contains(&name)
}

pub(super) fn link<T: View>(
    linker: &Linker<T>,
    component: &Component,
    engine: &Engine,
) -> wasmtime::Result<Option<Linker<T>>> {
    let world = component.component_type();
    let mut linked: Option<Linker<T>> = None;
    for (name, import) in world.imports(engine) {
        let types::ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if !is(name.split('@').next().unwrap_or_default()) {
            continue;
        }
        let linker = linked.get_or_insert_with(|| linker.clone());
        refuse(&mut linker.instance(name)?, name, &interface, engine)?;
    }
    Ok(linked)
}

fn refuse<T: View>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    imported: &types::ComponentInstance,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (name, item) in imported.exports(engine) {
        match item.ty {
            types::ComponentItem::Resource(_) if RESOURCES.contains(&name) => {
                linker.resource(name, ResourceType::host::<Nothing>(), |mut store, _| {
                    store.data_mut().wasi().release();
                    Ok(())
                })?;
            }
            types::ComponentItem::ComponentFunc(function) => {
                let answer = answer(&function);
                let call = format!("{interface} {name}");
                linker.func_new(name, move |store, _, _, results| give(store, &answer, &call, results))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn answer(function: &types::ComponentFunc) -> Answer {
    let mut results = function.results();
    let Some(result) = results.next() else { return Answer::End };
    match result {
        Type::List(_) => Answer::Value(Val::List(Vec::new())),
        Type::Option(_) => Answer::Value(Val::Option(None)),
        Type::Own(_) => Answer::Network,
        Type::Result(sides) => {
            let Some(Type::Enum(errors)) = sides.err() else { return Answer::End };
            let word = DENIED.iter().find(|word| errors.names().any(|name| name == **word));
            word.map_or(Answer::End, |word| {
                Answer::Value(Val::Result(Err(Some(Box::new(Val::Enum((*word).to_owned()))))))
            })
        }
        _ => Answer::End,
    }
}

fn give<T: View>(
    mut store: StoreContextMut<'_, T>,
    answer: &Answer,
    call: &str,
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let value = match answer {
        Answer::Value(value) => value.clone(),
        Answer::Network => {
            store.data_mut().wasi().hold()?;
            Val::Resource(ResourceAny::try_from_resource(Resource::<Nothing>::new_own(0), &mut store)?)
        }
        Answer::End => return Err(misuse(format!("no handler is given {call}"))),
    };
    if let Some(result) = results.first_mut() {
        *result = value;
    }
    Ok(())
}
