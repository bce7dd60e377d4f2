"""JSON of whatever services have."""

import json

from nova_guest._primitive import to_primitive

__all__ = ["JSONDecoder", "JSONEncoder", "dump", "dump_as_bytes", "dumps", "load", "loads", "to_primitive"]

JSONEncoder = json.JSONEncoder
JSONDecoder = json.JSONDecoder


def dumps(obj, default=to_primitive, **kwargs):
    """JSON text."""
    return json.dumps(obj, default=default, **kwargs)


def dump_as_bytes(obj, default=to_primitive, encoding="utf-8", **kwargs):
    """JSON text as bytes."""
    return dumps(obj, default=default, **kwargs).encode(encoding)


def dump(obj, fp, *args, **kwargs):
    """JSON text, written."""
    kwargs.setdefault("default", to_primitive)
    return json.dump(obj, fp, *args, **kwargs)


def loads(s, encoding="utf-8", **kwargs):
    """What JSON text says."""
    return json.loads(s if isinstance(s, str) else bytes(s).decode(encoding), **kwargs)


def load(fp, encoding="utf-8", **kwargs):
    """What JSON text says that is read."""
    return loads(fp.read(), encoding, **kwargs)
