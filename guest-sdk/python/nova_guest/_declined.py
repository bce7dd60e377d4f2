"""`nova.Declined` in a typed project, whose functions have results of their own.

Before it: `nova_typed` has the project's classes. After it: the host, which is told, and pays no attention to the result. So any
value of its type will do, and the bindings say which there are.
"""

import annotationlib
import dataclasses
import enum
import functools
import types
import typing

import nova_guest as nova
from wit_world import exports

#: What stands for a value of the types that bindings name as Python does. A text of one letter is a `char` as well.
_PLAIN = {bool: False, int: 0, float: 0.0, str: " ", bytes: b""}


def allow(app) -> None:
    """Has the functions of all exported interfaces of the project decline where they raise `nova.Declined`."""
    for name, interface in vars(exports).items():
        own = getattr(app, name, None)
        if isinstance(own, type) and isinstance(interface, type) and own is not interface:
            for method, declared in vars(interface).items():
                if getattr(declared, "__isabstractmethod__", False):
                    _wrap(own, method, declared)


def _wrap(own, name, declared):
    method = next((vars(base)[name] for base in own.__mro__ if name in vars(base)), declared)
    if method is declared or not isinstance(method, types.FunctionType):
        return

    result = _result(declared)

    @functools.wraps(method)
    def run(*args):
        try:
            return method(*args)
        except nova.Declined:
            nova._info.decline()
            return result

    setattr(own, name, run)


def _result(declared):
    """Any result of a function. Made when the component is built: what this takes of Python is not there later."""
    # As text: in its class, the name of a type may be that of a function.
    text = annotationlib.get_annotations(declared, format=annotationlib.Format.STRING)["return"]
    try:
        return _some(eval(text, vars(exports)))
    except Exception:
        # Of a resource, a stream or a future. No host takes a component that exports one.
        return None


def _some(kind):
    """Any value of a type."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in (None, types.NoneType):
        return None
    if origin in (typing.Union, types.UnionType):
        return None if types.NoneType in args else _some(args[0])
    if origin is tuple:
        return tuple([_some(arg) for arg in args])
    if origin in (list, dict):
        return origin()
    if origin is not None:
        # `Ok[…]`, `Some[…]`: classes of one value.
        return origin(_some(args[0]))
    if issubclass(kind, enum.Flag):
        return kind(0)
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    return kind(*[_some(typing.get_type_hints(kind)[field.name]) for field in dataclasses.fields(kind)])
