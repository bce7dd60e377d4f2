"""Requests to other services: calls, which are answered, and casts, which are not.

    from nova import rpc

    scheduler = rpc.Target("scheduler", version="4.5")
    for host in scheduler.call("select_destinations", instance_uuids=[uuid]):
        rpc.Target("compute", server=host).cast("build", uuid=uuid)

The manifest says who may be asked for what: `grants.rpc = ["scheduler.select_destinations", "compute/*"]`. The context of
the request that is being handled goes along. Casts are held back until the handler has succeeded, unless the manifest
says otherwise.

What the other side raises is a `RemoteError`, which reaches the handler's own caller as it is unless it is caught. The
other exceptions are `MessagingTimeout` and `MessageDeliveryFailure`; `PermissionError` for what is not granted,
`RuntimeError` for what is beyond a limit, and `ValueError` for requests that make no sense.
"""

import dataclasses
import json

import nova_guest as nova
from componentize_py_types import Err

try:
    from wit_world.imports import client as _client
except ImportError:
    raise ImportError(nova._not_there("nova.rpc", "nova:rpc/client@0.1.0", 'rpc = ["TOPIC.METHOD"]')) from None

__all__ = ["MessageDeliveryFailure", "MessagingTimeout", "RemoteError", "Target", "call_many"]


class RemoteError(nova.Failure):
    """What the other side raised: `class_` of `module`, with its message, arguments and traceback."""


class MessagingTimeout(Exception):
    """No reply came in time. The request may have been handled."""

    __module__ = "oslo_messaging.exceptions"


class MessageDeliveryFailure(Exception):
    """Nobody serves the target, or the broker cannot be reached."""

    __module__ = "oslo_messaging.exceptions"


@dataclasses.dataclass(frozen=True)
class Target:
    """Who is asked, and how patiently: `dataclasses.replace` changes one of these."""

    topic: str
    _: dataclasses.KW_ONLY
    #: One server of the topic; None is any.
    server: str | None = None
    #: None is the null namespace.
    namespace: str | None = None
    #: The version that is needed; None is 1.0.
    version: str | None = None
    #: A broker by its name in the service's configuration; None is the service's own.
    broker: str | None = None
    #: Seconds that a call may take; None is a minute.
    timeout: float | None = None
    #: Seconds that a call's server may be silent; None asks for no heartbeats.
    monitor: float | None = None

    def call(self, method: str, /, **arguments):
        """Calls, and returns the result."""
        return _result(_client.call, self, method, arguments, json.loads)

    def cast(self, method: str, /, **arguments) -> None:
        """Casts: nobody waits for a result. While casts are held, it raises only what is wrong with the request."""
        _result(_client.cast, self, method, arguments)

    def fanout(self, method: str, /, **arguments) -> None:
        """Casts to every server of the topic."""
        _result(_client.fanout, self, method, arguments)


def call_many(method: str, calls) -> list:
    """Calls each target with its arguments, `(target, {name: value})`, all at once, and waits for all.

    Returns for each its result, or the exception that a call would have raised.
    """
    results = _client.call_many([_request(target, method, arguments) for target, arguments in calls])
    return [_exception(result.value) if isinstance(result, Err) else json.loads(result.value) for result in results]


def _request(target, method, arguments):
    asked = _client.Target(target.broker, target.topic, target.server, target.namespace, target.version)
    timeout, monitor = nova._milliseconds(target.timeout), nova._milliseconds(target.monitor)
    return _client.Request(asked, method, nova.dumps(arguments), timeout, monitor)


def _result(function, target, method, arguments, read=lambda nothing: None):
    request = _request(target, method, arguments)
    try:
        result = function(request)
    except Err as error:
        problem = _exception(error.value)
    else:
        return read(result)
    raise problem


def _exception(error) -> Exception:
    if isinstance(error, _client.Error_Remote):
        failure = error.value
        args, kwargs = json.loads(failure.args), json.loads(failure.kwargs)
        remote = RemoteError(failure.class_, failure.message, module=failure.module, args=args, kwargs=kwargs)
        remote.traceback = failure.traceback
        return remote
    return _CLASSES[type(error)](error.value)


_CLASSES = {
    _client.Error_TimedOut: MessagingTimeout,
    _client.Error_Unavailable: MessageDeliveryFailure,
    _client.Error_Denied: PermissionError,
    _client.Error_Limited: RuntimeError,
    _client.Error_Invalid: ValueError,
}
