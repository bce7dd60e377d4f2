"""Values as OpenStack's services write them where JSON has no word for them: `oslo_serialization.jsonutils.to_primitive`."""

import datetime
import decimal
import inspect
import ipaddress
import itertools
import uuid

#: Objects in one another beyond which there is nothing but null, as `jsonutils` has it.
MAX_DEPTH = 3

#: A time without its zone, with microseconds: `oslo_utils.timeutils.PERFECT_TIME_FORMAT`.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"

_AS_TEXT = (uuid.UUID, decimal.Decimal, ipaddress.IPv4Address, ipaddress.IPv6Address)

_NO_VALUES = (
    inspect.ismodule, inspect.isclass, inspect.isroutine, inspect.isgenerator, inspect.istraceback, inspect.isframe,
    inspect.iscode,
)


def to_primitive(
    value, convert_instances=False, convert_datetime=True, level=0, max_depth=MAX_DEPTH, encoding="utf-8", fallback=None
):
    """Lists, dicts, text, numbers and null. What cannot be any of these is `fallback` of it, or its words."""
    otherwise = str if fallback is None else fallback

    def inner(value, level=level):
        return to_primitive(value, convert_instances, convert_datetime, level, max_depth, encoding, fallback)

    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, bytes):
        return value.decode(encoding)
    if isinstance(value, datetime.datetime):
        return value.strftime(TIME_FORMAT) if convert_datetime else value
    if isinstance(value, datetime.date):
        return value.strftime("%Y-%m-%d") if convert_datetime else value
    if isinstance(value, _AS_TEXT) or type(value).__module__.partition(".")[0] == "netaddr":
        return str(value)
    if isinstance(value, Exception):
        return repr(value)
    if type(value) is itertools.count or any(test(value) for test in _NO_VALUES):
        return otherwise(value)
    if level > max_depth:
        return None
    try:
        if isinstance(value, dict):
            return {inner(name): inner(one) for name, one in value.items()}
        if hasattr(value, "items"):
            return inner(dict(value.items()), level + 1)
        if hasattr(value, "__iter__"):
            return [inner(one) for one in value]
        if convert_instances and hasattr(value, "__dict__"):
            return inner(value.__dict__, level + 1)
    except TypeError:
        # What seems to have these, such as a mock, has not.
        return otherwise(value)
    if fallback is None:
        raise ValueError(f"Cannot convert {value!r} to primitive")
    return fallback(value)
