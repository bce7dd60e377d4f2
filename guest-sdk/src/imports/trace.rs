//! The host's import `trace`, as a component sees it.

use crate::{
    bindings::nova::rpc::trace as host,
    trace::{SpanContext, Value},
};

/// Adds an attribute.
pub(crate) fn set_attribute(key: &str, value: Value) {
    host::set_attribute(key, &lower(value));
}

/// Adds an event.
pub(crate) fn add_event(name: &str, attributes: Vec<(String, Value)>) {
    let attributes = attributes.into_iter().map(|(key, value)| host::Attribute { key, value: lower(value) });
    host::add_event(name, &attributes.collect::<Vec<_>>());
}

/// Whether anybody sees it.
pub(crate) fn is_recording() -> bool {
    host::is_recording()
}

/// What ties the request to its trace.
pub(crate) fn span_context() -> Option<SpanContext> {
    let host::SpanContext { trace_id, span_id, trace_flags } = host::get_span_context()?;
    Some(SpanContext { trace_id, span_id, trace_flags })
}

fn lower(value: Value) -> host::Value {
    match value {
        Value::Text(text) => host::Value::Text(text),
        Value::Integer(number) => host::Value::Integer(number),
        Value::Number(number) => host::Value::Number(number),
        Value::Truth(truth) => host::Value::Truth(truth),
    }
}
