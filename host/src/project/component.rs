//! Core modules become components.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
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

fn wrong(error: &impl std::fmt::Display) -> Error {
    Error::Component(format!("{error:#}"))
}
