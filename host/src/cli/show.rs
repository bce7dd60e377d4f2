//! A handler in words, for `check` and `inspect`.

use serde_json::{Value, json};

use crate::catalog::{
    Endpoint, Generation,
    describe::{EndpointDescription, HandlerDescription},
};

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
    lines.push((
        "limits",
        format!(
            "timeout {:?}, memory {}, arguments {}, result {}, log {}, concurrency {concurrency}",
            limits.timeout, limits.memory, limits.arguments, limits.result, limits.log
        ),
    ));
    match generation.selftests() {
        0 => {}
        count => lines.push(("selftest", format!("{count} passed"))),
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
            "memory": limits.memory.0,
            "arguments": limits.arguments.0,
            "result": limits.result.0,
            "log": limits.log.0,
            "concurrency": limits.concurrency,
        },
        "selftests": generation.selftests(),
    })
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
