"""HTTP requests, to hosts that the manifest grants: `grants.http = ["https://api.example.org"]`.

    from nova import http

    answer = http.get("https://glance.example.org/v2/images", headers={"x-auth-token": token}, timeout=10)
    if answer.status != 200:
        raise RuntimeError(f"glance says {answer.status}")
    images = answer.json()["images"]

A request happens at once, whatever becomes of the handler afterwards, and nothing is added to it: no credential, no
cookie. A redirect is a response like any other, and so is one whose status is an error.

What goes wrong is a `PermissionError` for what is not granted, a `TimeoutError`, a `ConnectionError` where nobody is there,
is trusted or speaks HTTP, a `RuntimeError` for what is beyond a limit or not what was expected, and a `ValueError` for
requests that make no sense.
"""

import dataclasses
import json
import re

import nova_guest as nova
from componentize_py_types import Err

try:
    from wit_world.imports import outgoing_handler as _handler
except ImportError:
    grant = 'http = ["https://HOST"]'
    raise ImportError(nova._not_there("nova.http", "wasi:http/outgoing-handler@0.2.0", grant)) from None

_types = nova._imported("wasi_http_types", "types")

__all__ = ["Response", "get", "post", "request"]

#: Bytes that are read at once.
_READ = 64 << 10

#: Bytes that are written at once: WASI's bound.
_WRITE = 4096

#: Scheme, authority and path.
_URL = re.compile(r"([^:/?#]*)://([^/?#]*)([^#]*)")


@dataclasses.dataclass(frozen=True)
class Response:
    """What came back, whatever its status."""

    status: int
    #: Names in small letters, and values, as they came.
    headers: list[tuple[str, bytes]]
    #: All of the body.
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, if it is there and is text."""
        value = next((value for other, value in self.headers if other.lower() == name.lower()), None)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            return None

    def text(self) -> str:
        """The body as text."""
        # What Python raises holds the body, which may be a secret.
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise RuntimeError("the body is not text") from None

    def json(self):
        """The body as a value."""
        text = self.text()
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
        raise RuntimeError(f"the body is not what was expected, at {place}")


def get(url: str, *, headers=(), timeout: float | None = None) -> Response:
    """Gets a URL."""
    return request("GET", url, headers=headers, timeout=timeout)


def post(url: str, body: bytes | str = b"", *, headers=(), timeout: float | None = None) -> Response:
    """Posts to a URL."""
    return request("POST", url, headers=headers, body=body, timeout=timeout)


def request(method: str, url: str, *, headers=(), body: bytes | str = b"", timeout: float | None = None) -> Response:
    """Sends a request, and waits for all of the response.

    The URL is `https://HOST[:PORT][/PATH][?QUERY]`, or the same with `http`. Headers are a dict, or pairs of names and
    values. `timeout` is how many seconds each step may take: to connect, to wait for the response, and for each piece of its
    body; without it, each may take as long as the handler.
    """
    pairs = headers.items() if hasattr(headers, "items") else headers
    outgoing = _prepare(method, url, [(name, nova._bytes(value)) for name, value in pairs])
    try:
        return _send(outgoing, _options(timeout), nova._bytes(body))
    except Err as error:
        problem = _exception(error.value)
    raise problem


def _prepare(method, url, headers):
    parts = _URL.fullmatch(url.partition("#")[0])
    scheme, authority, path = parts.groups() if parts else _invalid("the URL")
    schemes = {"http": _types.Scheme_Http, "https": _types.Scheme_Https}
    scheme = schemes[scheme]() if scheme in schemes else _invalid("the URL's scheme")
    outgoing = _types.OutgoingRequest(_try("the headers", _types.Fields.from_list, headers))
    _try("the method", outgoing.set_method, _types.Method_Other(method))
    _try("the URL's scheme", outgoing.set_scheme, scheme)
    _try("the URL's host", outgoing.set_authority, authority)
    _try("the URL's path", outgoing.set_path_with_query, path or None)
    return outgoing


def _try(what, function, value):
    try:
        return function(value)
    except Err:
        pass
    _invalid(what)


def _invalid(what):
    raise ValueError(f"{what} cannot be sent")


def _options(timeout):
    options = _types.RequestOptions()
    if (milliseconds := nova._milliseconds(timeout)) is not None:
        for bound in (options.set_connect_timeout, options.set_first_byte_timeout, options.set_between_bytes_timeout):
            bound(min(milliseconds * 1_000_000, 2**64 - 1))
    return options


def _send(outgoing, options, body):
    draft = outgoing.body()
    future = _handler.handle(outgoing, options)
    if body:
        with draft.write() as stream:
            for start in range(0, len(body), _WRITE):
                stream.blocking_write_and_flush(body[start : start + _WRITE])
    _types.OutgoingBody.finish(draft, None)
    with future.subscribe() as ready:
        ready.block()
    result = future.get().value
    if isinstance(result, Err):
        raise result
    response = result.value
    with response.headers() as headers:
        entries = headers.entries()
    with response.consume() as incoming, incoming.stream() as stream:
        return Response(response.status(), entries, b"".join(_pieces(stream)))


def _pieces(stream):
    while True:
        try:
            yield stream.blocking_read(_READ)
        except Err as error:
            if type(error.value).__name__ == "StreamError_Closed":
                return
            raise


_TIMEOUTS = {
    "dns-timeout", "connection-timeout", "connection-read-timeout", "connection-write-timeout", "http-response-timeout"
}

_INVALID = {
    "http-request-method-invalid", "http-request-uri-invalid", "http-request-uri-too-long",
    "http-request-header-section-size", "http-request-trailer-section-size",
}


def _exception(problem) -> Exception:
    value = getattr(problem, "value", None)
    name = type(problem).__name__
    if name == "StreamError_LastOperationFailed":
        code = _types.http_error_code(value)
        return ConnectionError(value.to_debug_string()) if code is None else _exception(code)
    # As WIT has it: ErrorCode_DnsTimeout is dns-timeout.
    word = re.sub(r"(?<!^)([A-Z])", r"-\1", name.rpartition("_")[2]).lower()
    if word == "http-request-denied":
        return PermissionError("it is not granted (grants.http in the manifest)")
    if word == "destination-ip-prohibited":
        return PermissionError("the name leads to an address that is not everybody's")
    if word in _TIMEOUTS:
        return TimeoutError(word)
    if word == "internal-error" and value is not None:
        return RuntimeError(value)
    if word in ("http-request-body-size", "http-response-body-size"):
        return RuntimeError(f"more than the handler may send or get (limits.http_bytes): {word}")
    if word in _INVALID:
        return ValueError(word)
    return ConnectionError(word)
