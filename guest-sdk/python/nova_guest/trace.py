"""The trace that the request is part of, in OpenTelemetry's words: what its `Span` has is here as functions.

    from nova import trace

    trace.set_attribute("acme.flavor", "m1.small")
    trace.add_event("hosts found", {"acme.hosts": 17})

They add to the span in which the handler runs, which the host begins and ends. What exceeds the host's limits is left out, and
nothing here raises. Secrets and what only the caller may know do not belong into a trace.
"""

import typing
from collections.abc import Mapping

import nova_guest as nova

try:
    from wit_world.imports import trace as _trace
except ImportError:
    raise ImportError(
        "nova.trace: no file of the project has the words nova and trace, by which `build` knows that it is used, as in"
        " `from nova import trace`; where there is wit/, import nova:rpc/trace@0.1.0 into its world"
    ) from None

__all__ = ["SpanContext", "add_event", "get_span_context", "is_recording", "set_attribute", "set_attributes"]

#: Letters of a text that are handed over: the host keeps less.
_MOST = 1 << 16

#: Attributes of an event, the same.
_MANY = 128


class SpanContext(typing.NamedTuple):
    """What ties the request to its trace."""

    #: 32 hexadecimal digits in lower case.
    trace_id: str
    #: 16 hexadecimal digits in lower case.
    span_id: str
    #: W3C's flags: 1 is sampled.
    trace_flags: int

    @property
    def traceparent(self) -> str:
        """W3C's header, for what the handler asks of others by itself."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags:02x}"


def _text(value) -> str:
    try:
        return nova._words(value)[:_MOST]
    except Exception:
        return "<no words>"


def _value(value):
    """A value as the host takes it: text, where it is none of the four kinds."""
    if isinstance(value, bool):
        return _trace.Value_Truth(bool(value))
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return _trace.Value_Integer(int(value))
    if isinstance(value, float):
        return _trace.Value_Number(float(value))
    return _trace.Value_Text(_text(value))


def set_attribute(key: str, value: str | bool | int | float) -> None:
    """Adds an attribute to the span. A key that is there already has the new value; None is left out."""
    if value is not None:
        _trace.set_attribute(_text(key), _value(value))


def set_attributes(attributes: Mapping) -> None:
    """Adds several."""
    for key, value in attributes.items():
        set_attribute(key, value)


def add_event(name: str, attributes: Mapping | None = None) -> None:
    """Adds an event to the span, with the time of now."""
    given = [(key, value) for key, value in (attributes or {}).items() if value is not None]
    _trace.add_event(_text(name), [_trace.Attribute(_text(key), _value(value)) for key, value in given[:_MANY]])


def is_recording() -> bool:
    """Whether anybody sees what is added. Where not, it need not be computed."""
    return _trace.is_recording()


def get_span_context() -> SpanContext | None:
    """What ties the request to its trace; None where it is part of none."""
    context = _trace.get_span_context()
    return None if context is None else SpanContext(context.trace_id, context.span_id, context.trace_flags)
