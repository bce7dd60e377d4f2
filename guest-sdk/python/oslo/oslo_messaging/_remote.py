"""What another service raised, as an exception of its class where that is known here."""

import sys

#: What tells such a class from the one that it is made of. `nova_guest._failures` leaves it out.
SUFFIX = "_Remote"


def exception(error, allowed, otherwise):
    """An exception of the class that `error`, a `RemoteError` of the SDK's, names, if its module is allowed; else `otherwise`."""
    module = "builtins" if error.module == "exceptions" else error.module
    lines = list(error.traceback or [])
    unknown = otherwise(error.class_, error.message, lines)
    # Nothing is imported now: the sandbox has the modules that were read when it was made.
    kind = getattr(sys.modules.get(module), error.class_, None) if module in allowed else None
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        return unknown
    try:
        known = kind(*error.args, **error.kwargs)
    except Exception:
        return unknown
    message = "\n".join([error.message, *lines])
    try:
        known.__class__ = type(
            kind.__name__ + SUFFIX, (kind,), {"__str__": lambda self: message, "__module__": module + SUFFIX}
        )
    except TypeError:
        # Exceptions of Python's own have no other class.
        known.args = (message, *known.args[1:])
    return known
