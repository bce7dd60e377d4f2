//! Core modules become components.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::{Error, Result, World};

/// Notes in a module which world it is of, where its tools do not.
pub(super) fn embed(module: &mut Vec<u8>, world: &World) -> Result<()> {
    embed_component_metadata(module, &world.resolve, world.id, StringEncoding::UTF8).map_err(|error| wrong(&error))
}

/// Makes a component; what the module imports of WASI 0.1 becomes WASI 0.2.
pub(super) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
            .encode()
    };
    encode().map_err(|error| wrong(&error))
}

/// Gives imports of a component another beginning of their names, of the same length, in their place. What it imports by
/// that name itself, inside, stays.
pub(super) fn rename_imports(mut component: Vec<u8>, from: &str, to: &str) -> Result<Vec<u8>> {
    debug_assert_eq!(from.len(), to.len());
    let mut places = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(&component) {
        match payload.map_err(|error| wrong(&error))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import.map_err(|error| wrong(&error))?.name.name;
                    if name.starts_with(from) {
                        places.push(name.as_ptr().addr() - component.as_ptr().addr());
                    }
                }
            }
            _ => {}
        }
    }
    for place in places {
        if let Some(name) = component.get_mut(place..place + to.len()) {
            name.copy_from_slice(to.as_bytes());
        }
    }
    Ok(component)
}

fn wrong(error: &impl std::fmt::Display) -> Error {
    Error::Component(format!("{error:#}"))
}
