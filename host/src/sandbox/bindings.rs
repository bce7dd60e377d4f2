//! The host's side of the WIT package, generated, and the list of what is offered.

/// The interfaces that a handler may import, without their version.
pub(super) const OFFERED: [&str; 5] =
    ["nova:rpc/types", "nova:rpc/log", "nova:rpc/request-info", "nova:rpc/config", "nova:rpc/trace"];

/// What a dynamic handler exports, without its version.
pub(super) const HANDLER: &str = "nova:rpc/handler";

/// The side of what must be granted.
mod grantable {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "nova:rpc/grantable",
        imports: { default: async },
        with: { "nova:rpc/types": super::generated::nova::rpc::types },
    });
}

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "nova:rpc/dynamic",
        exports: { default: async },
    });
}

pub(super) use generated::DynamicIndices;
pub(super) use generated::exports::nova::rpc::handler::{Endpoint, Failure, Request};
pub(super) use generated::nova::rpc::{log, request_info, types};
pub(super) use grantable::nova::rpc::{client, config, keyvalue, trace};
