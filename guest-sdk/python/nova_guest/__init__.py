"""Handlers for Nova Host in Python.

    import nova

    @nova.method(version="1.3")
    def divide(a: float, b: float = 1.0) -> float:
        return a / b

Keyword arguments, results and exceptions are those of any Python service. What is printed, logged with `logging`, or
written with `nova.log` goes to the service's log. Typed handlers use everything here but `method`.

`nova.rpc`, `nova.config`, `nova.keyvalue` and `nova.http` are modules of their own: what a manifest gives and grants. So is
`nova.endpoints`, which serves oslo.messaging's endpoint classes.

The package's own name is `nova_guest`: a project with a package `nova` of its own imports that.
"""

import importlib
import json
import logging
import re
import typing

from wit_world.imports import log as _log, request_info as _info

from nova_guest import _errno as _marked  # noqa: F401 (before anything of the handler's reads the module errno)

__all__ = ["Declined", "Failure", "Request", "context", "log", "method", "panic", "request"]

#: The folder of this package.
_HERE = __file__.rsplit("/", 1)[0] + "/"

#: (namespace, version) → name → function, in the order of the endpoints. Those of a class have their number in the key as well.
_endpoints: dict = {}


def method(function=None, *, namespace: str | None = None, version: str = "1.0", name: str | None = None):
    """Serves a function as a method. Without a namespace it is in the null namespace, and its version is 1.0."""
    if function is None:
        return lambda function: method(function, namespace=namespace, version=version, name=name)
    methods = _endpoints.setdefault((namespace, version), {})
    methods[name or function.__name__] = function
    return function


class Failure(Exception):
    """An exception of a class that the handler does not have, such as `nova.exception.InstanceNotFound`.

    The caller meets `class_` of `module`, with these arguments; the message is the only one unless `args` says otherwise.
    """

    #: Where it happened, outermost first, if that is not where it was raised.
    traceback: list[str] | None = None

    def __init__(self, class_: str, message: str = "", *, module: str = "builtins", args=None, kwargs=None):
        super().__init__(message)
        self.class_ = class_
        self.module = module
        self.message = message
        self.args = (message,) if args is None else tuple(args)
        self.kwargs = dict(kwargs or {})


class Declined(Exception):
    """Leaves the request to others: what becomes of it is what would become of it without this handler.

    The service forwards it, where it forwards what nobody serves, and refuses it otherwise. Held effects are discarded. A
    handler that catches it has not declined.
    """


def _words(value) -> str:
    """Words as the host takes them, which is UTF-8: half a surrogate pair becomes its escape, such as `\\ud800`."""
    return str.encode(value if isinstance(value, str) else str(value), "utf-8", "backslashreplace").decode()


class Panic(BaseException):
    """Ends the instance. See `panic`."""


def panic(message: str) -> typing.NoReturn:
    """Ends the request as `HandlerTrapped`, with these words; nothing catches it but `except BaseException`."""
    _log.panicking(_words(message))
    raise Panic(message)


class Request(typing.NamedTuple):
    """What is known about the request beside its arguments and its context."""

    method: str
    namespace: str | None
    version: str
    reply_wanted: bool
    time_left_ms: int


_request = None


def request() -> Request:
    """The request that is being handled, in a dynamic handler."""
    given = _request
    return Request(given.method, given.namespace, given.version, _info.reply_wanted(), _info.time_left_ms())


def context(name: str | None = None):
    """The caller's request context, a dict, or one entry of it. It often holds a live token: never log it."""
    if name is None:
        return json.loads(_info.context())
    entry = _info.context_entry(name)
    return None if entry is None else json.loads(entry)


class _Log:
    """The service's log, line by line."""

    def trace(self, message):
        _log.write(_log.Level.TRACE, _words(message))

    def debug(self, message):
        _log.write(_log.Level.DEBUG, _words(message))

    def info(self, message):
        _log.write(_log.Level.INFO, _words(message))

    def warn(self, message):
        _log.write(_log.Level.WARN, _words(message))

    def error(self, message):
        _log.write(_log.Level.ERROR, _words(message))


log = _Log()


class _Handler(logging.Handler):
    """Python's own logging, in the service's log."""

    def emit(self, record):
        levels = _log.Level
        level = (
            levels.ERROR if record.levelno >= logging.ERROR
            else levels.WARN if record.levelno >= logging.WARNING
            else levels.INFO if record.levelno >= logging.INFO
            else levels.DEBUG
        )
        # As everywhere in Python, what cannot be logged is complained about on standard error, and raises nothing.
        try:
            lines = self.format(record).splitlines()
        except Exception:
            self.handleError(record)
            return
        for line in lines:
            _log.write(level, _words(line))


logging.basicConfig(level=logging.DEBUG, handlers=[_Handler()], format="%(name)s: %(message)s")


def _default(value):
    """What JSON has no word for, as OpenStack's services write it."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


#: Strings, and what Python writes for numbers that JSON has not.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def dumps(value, default=_default) -> str:
    """JSON text. `NaN` is null, and the infinities are ±1e999, which everybody reads as infinite."""
    text = json.dumps(value, default=default)
    if "Infinity" not in text and "NaN" not in text:
        return text
    words = {"NaN": "null", "Infinity": "1e999", "-Infinity": "-1e999"}
    return _TOKENS.sub(lambda token: words.get(token[0], token[0]), text)


def _milliseconds(seconds: float | None) -> int | None:
    """A time as the host takes it."""
    if seconds is None:
        return None
    if not 0 <= seconds < 2**40:
        raise ValueError(f"{seconds} is no number of seconds")
    return round(seconds * 1000)


def _bytes(value) -> bytes | None:
    """Bytes of any kind, or text as UTF-8."""
    return value.encode() if isinstance(value, str) else None if value is None else bytes(memoryview(value))


def _imported(*names: str):
    """The bindings of an import: they have its package's name in theirs where another import is called the same."""
    for name in names:
        try:
            return importlib.import_module(f"wit_world.imports.{name}")
        except ImportError:
            pass
    raise ImportError(names[-1])


def _not_there(module: str, interface: str, grant: str) -> str:
    """What to do about an interface that the component cannot import."""
    return (
        f"{module} takes a grant: write [grants] and {grant} into the manifest beside app.py; where there is wit/, import"
        f" {interface} into its world"
    )


def _offer(module):
    """What a module offers: its decorated functions, else all its public ones."""
    if not _endpoints:
        version, namespace = getattr(module, "VERSION", "1.0"), getattr(module, "NAMESPACE", None)
        for name, function in vars(module).items():
            ours = getattr(function, "__module__", None) == module.__name__
            if ours and callable(function) and not isinstance(function, type) and not name.startswith("_"):
                method(function, namespace=namespace, version=version)
    return _endpoints


def _run(given) -> str:
    """Runs a request to the JSON of its result."""
    global _request
    _request = given
    try:
        function = list(_endpoints.values())[given.endpoint][given.method]
        return dumps(function(**json.loads(given.arguments)), getattr(function, "default", _default))
    finally:
        _request = None
