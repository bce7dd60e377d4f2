"""State that outlives a request: keys with bytes, of this handler alone. The manifest says `grants.keyvalue = true`.

    from nova import keyvalue

    keyvalue.set("last", "host-1", ttl=60)
    number = keyvalue.increment("builds")

What is set or deleted takes place when the handler has succeeded, and is seen by itself before; `increment` and `swap`
happen at once, whatever becomes of the handler. What the store refuses is a `RuntimeError`.
"""

import functools

import nova_guest as nova
from componentize_py_types import Err

try:
    from wit_world.imports import keyvalue as _keyvalue
except ImportError:
    raise ImportError(nova._not_there("nova.keyvalue", "nova:rpc/keyvalue@0.1.0", "keyvalue = true")) from None

__all__ = ["delete", "exists", "get", "increment", "keys", "set", "swap"]


def _raising(function):
    """The store's errors as exceptions."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Err as error:
            problem = error.value
        if isinstance(problem, _keyvalue.Error_Other):
            raise RuntimeError(problem.value)
        if isinstance(problem, _keyvalue.Error_NoSuchStore):
            raise RuntimeError("there is no store: it is not granted, or there is no request")
        raise RuntimeError("access denied")

    return run


@_raising
def get(key: str) -> bytes | None:
    """The value of a key; None where there is none, or its time is over."""
    return _keyvalue.get(key)


@_raising
def exists(key: str) -> bool:
    """Whether there is a value."""
    return _keyvalue.exists(key)


@_raising
def set(key: str, value: bytes | str, ttl: float | None = None) -> None:
    """Sets a value, for so many seconds where they are given. A key has 1 to 255 bytes."""
    _keyvalue.set(key, nova._bytes(value), nova._milliseconds(ttl))


@_raising
def delete(key: str) -> None:
    """Takes a value away, if there is one."""
    _keyvalue.delete(key)


@_raising
def keys() -> list[str]:
    """All keys, in the order of their bytes, without what this request has set."""
    found, page = [], _keyvalue.list_keys(None)
    while True:
        found += page.keys
        if page.cursor is None:
            return found
        page = _keyvalue.list_keys(page.cursor)


@_raising
def increment(key: str, delta: int = 1) -> int:
    """Adds to a number, and returns the sum. No number is 0."""
    return _keyvalue.increment(key, delta)


@_raising
def swap(key: str, current: bytes | str | None, next: bytes | str | None) -> bool:
    """Puts one value in place of another, if that is the value there; None is no value. Says whether it was."""
    return _keyvalue.swap(key, nova._bytes(current), nova._bytes(next))
