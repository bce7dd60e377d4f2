//! A handler in words, for `check` and `inspect`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    capability::GRANTABLE,
    catalog::{
        Endpoint, Generation,
        describe::{EndpointDescription, HandlerDescription},
    },
    printable::printable,
};

/// Bytes of a configured value that are shown.
const MAX_VALUE: usize = 200;

/// A handler in lines: what each is about, and what there is to say.
pub(super) fn lines(generation: &Generation) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for endpoint in &generation.endpoints {
        let EndpointDescription { namespace, version, methods } = EndpointDescription::of(endpoint);
        let renamed = match &endpoint.renamed_from {
            Some((namespace, version)) => format!(" (offered as {} {version})", namespace_or_none(namespace)),
            None => String::new(),
        };
        let methods = if methods.is_empty() { "nothing".to_owned() } else { methods.join(", ") };
        lines.push(("serves", format!("{} {version}{renamed}: {methods}", namespace_or_none(&namespace))));
        if !endpoint.hidden.is_empty() {
            lines.push((
                "hides",
                format!("{} {version}: {}", namespace_or_none(&namespace), hidden(endpoint).join(", ")),
            ));
        }
    }
    let limits = generation.program.limits();
    let concurrency = limits.concurrency.map_or_else(|| "max_in_flight".to_owned(), |limit| limit.to_string());
    let cpu = limits.cpu.map_or_else(String::new, |cpu| format!("cpu {cpu:?}, "));
    let reuse = if limits.reuse > 1 { format!(", reuse {}", limits.reuse) } else { String::new() };
    lines.push((
        "limits",
        format!(
            "timeout {:?}, {cpu}memory {}, arguments {}, result {}, log {}, concurrency {concurrency}{reuse}",
            limits.timeout, limits.memory, limits.arguments, limits.result, limits.log
        ),
    ));
    for Wanted { interface, is_wanted, granted, .. } in wanted(generation) {
        let granted = granted.join(", ");
        lines.push((
            if is_wanted { "wants" } else { "granted" },
            match is_wanted {
                true => format!("{interface}, granted: {granted}"),
                false => format!("{interface}, and not wanted: {granted}"),
            },
        ));
    }
    let config = generation.program.grants().config.shown();
    lines
        .extend(config.into_iter().map(|(name, value)| ("config", printable(&format!("{name} = {value}"), MAX_VALUE))));
    match generation.selftests() {
        0 => {}
        count => lines.push(("selftest", format!("{count} passed"))),
    }
    if generation.gate().is_anything() {
        lines.push(("gate", generation.gate().to_string()));
    }
    lines
}

/// A handler for scripts.
pub(super) fn json(generation: &Generation) -> Value {
    let HandlerDescription { name, digest, .. } = HandlerDescription::of(generation);
    let limits = generation.program.limits();
    json!({
        "name": name,
        "digest": digest,
        "endpoints": generation.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "limits": {
            "timeout_ms": u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX),
            "cpu_us": limits.cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX)),
            "memory": limits.memory.0,
            "arguments": limits.arguments.0,
            "result": limits.result.0,
            "log": limits.log.0,
            "concurrency": limits.concurrency,
            "reuse": limits.reuse,
        },
        "grants": wanted(generation).iter().map(|wanted| json!({
            "interface": wanted.interface, "wanted": wanted.is_wanted, "granted": wanted.granted,
        })).collect::<Vec<_>>(),
        "config": generation.program.grants().config.shown().into_iter().collect::<BTreeMap<_, _>>(),
        "selftests": generation.selftests(),
        "gate": generation.gate().is_anything().then(|| generation.gate().to_string()),
    })
}

/// An interface that is granted, or wanted: without the former there is no generation.
struct Wanted {
    interface: &'static str,
    is_wanted: bool,
    granted: Vec<String>,
}

/// What the handler wants of what can be granted, and what its manifest grants.
fn wanted(generation: &Generation) -> Vec<Wanted> {
    let program = &generation.program;
    let imports = |interface| program.imports().iter().any(|import| import.split('@').next() == Some(interface));
    let each = GRANTABLE.iter().map(|(interface, _)| Wanted {
        interface,
        is_wanted: imports(interface),
        granted: program.grants().of(interface),
    });
    each.filter(|wanted| wanted.is_wanted || !wanted.granted.is_empty()).collect()
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let EndpointDescription { namespace, version, methods } = EndpointDescription::of(endpoint);
    let renamed = (endpoint.renamed_from.as_ref())
        .map(|(namespace, version)| json!({"namespace": namespace, "version": version.to_string()}));
    json!({
        "namespace": namespace, "version": version, "methods": methods,
        "offered_as": renamed, "hidden": hidden(endpoint),
    })
}

fn hidden(endpoint: &Endpoint) -> Vec<&str> {
    endpoint.hidden.iter().map(String::as_str).collect()
}

fn namespace_or_none(namespace: &Option<String>) -> &str {
    namespace.as_deref().unwrap_or("(no namespace)")
}
