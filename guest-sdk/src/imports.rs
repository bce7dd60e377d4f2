//! What a handler asks of its host, in one place: the real imports in a component, stand-ins natively.

#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
pub(crate) use host::{
    call, call_many, cast, config, config_all, context, context_entry, decline, panicking, random, reply_wanted,
    state_exists, state_get, state_increment, state_keys, state_set, state_swap, time_left_ms, write,
};
#[cfg(target_family = "wasm")]
mod http;
#[cfg(target_family = "wasm")]
pub(crate) use http::fetch;
#[cfg(target_family = "wasm")]
mod trace;
#[cfg(target_family = "wasm")]
pub(crate) use trace::{add_event, is_recording, set_attribute, span_context};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{
    Done, Scene, Services, Web, add_event, call, call_many, cast, config, config_all, context, context_entry, decline,
    fetch, is_recording, nobody, nothing, play, random, reply_wanted, set_attribute, span_context, state_exists,
    state_get, state_increment, state_keys, state_set, state_swap, time_left_ms, write,
};
