//! What a recording has of a request before its handler runs.
//!
//! Before it: the request is admitted, and taped. After it: [`crate::recording`] keeps it, once it has ended.

use crate::{
    catalog::{Generation, Policy},
    envelope::Text,
    recording::{Asked, Bounds, Component, Draft},
    sandbox::{Invocation, Limits, Tape},
};

/// What is known of a request; `None` where it is not taped, or is too large for the tape, which is of no use then.
pub(super) fn draft(generation: &Generation, policy: Policy, invocation: &Invocation, tape: &Tape) -> Option<Draft> {
    if !tape.is_on() || !tape.takes(invocation.arguments.len()) {
        return None;
    }
    let program = &generation.program;
    let Invocation { endpoint, method, namespace, version, arguments, info, .. } = invocation;
    let empty = || Text::of(&serde_json::Map::new());
    Some(Draft {
        handler: Component {
            name: generation.name.clone(),
            digest: program.digest().as_str().to_owned(),
            generation: generation.number,
            errors_module: Some(program.errors_module().to_owned()),
        },
        request: Asked {
            endpoint: *endpoint,
            method: method.clone(),
            namespace: namespace.clone(),
            version: version.clone(),
            arguments: Text::parse(arguments.clone()).unwrap_or_else(|_| empty()),
            context: Text::parse(info.context.entries()).unwrap_or_else(|_| empty()),
            client_timeout: info.client_timeout.clone(),
            reply_wanted: info.reply_wanted,
        },
        policy: policy.as_str(),
        limits: bounds(program.limits()),
        config: program.grants().config.clone(),
    })
}

fn bounds(limits: &Limits) -> Bounds {
    let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    Bounds {
        timeout_ms: u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX),
        cpu_us: limits.cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX).max(1)),
        memory: bytes(limits.memory.0),
        tables: limits.tables,
        instances: limits.instances,
        stack: bytes(limits.stack.0),
        arguments: bytes(limits.arguments.0),
        result: bytes(limits.result.0),
        log: bytes(limits.log.0),
    }
}
