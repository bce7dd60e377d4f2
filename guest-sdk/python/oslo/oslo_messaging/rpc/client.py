"""Clients: what RPC API classes ask others with, over `nova.rpc`."""

from oslo_messaging import _remote, exceptions
from oslo_messaging._utils import version_is_compatible
from oslo_messaging.serializer import NoOpSerializer

try:
    from nova_guest import rpc as _rpc
except ImportError as _error:
    _rpc, _missing = None, str(_error)

__all__ = ["ClientSendError", "RPCClient", "RPCVersionCapError", "RemoteError", "get_rpc_client"]

_unset = object()

#: Seconds that a call may take where neither the client nor the configuration says so: `rpc_response_timeout`.
_TIMEOUT = 60


class RemoteError(exceptions.MessagingException):
    """What the other side raised, of a class that is not known here."""

    def __init__(self, exc_type=None, value=None, traceback=None):
        self.exc_type = exc_type
        self.value = value
        self.traceback = traceback
        super().__init__(f"Remote error: {exc_type} {value}\n{traceback}.")


class RPCVersionCapError(exceptions.MessagingException):
    """The version is beyond the cap."""

    def __init__(self, version, version_cap):
        self.version = version
        self.version_cap = version_cap
        super().__init__(
            f"Requested message version, {version} is incompatible.  It needs to be equal in major version and less than or"
            f" equal in minor version as the specified version cap {version_cap}."
        )


class ClientSendError(exceptions.MessagingException):
    """The request could not be sent."""

    def __init__(self, target, ex):
        super().__init__(f'Failed to send to target "{target}": {ex}')
        self.target = target
        self.ex = ex


class _CallContext:
    """Who is asked, and how: `prepare` makes another of one."""

    def __init__(
        self, transport, target, serializer=None, timeout=None, version_cap=None, retry=None, call_monitor_timeout=None,
        transport_options=None,
    ):
        self.transport = transport
        self.conf = transport.conf
        self.target = target
        self.serializer = NoOpSerializer() if serializer is None else serializer
        self.timeout = timeout
        self.version_cap = version_cap
        #: As often as the host does: it knows the broker.
        self.retry = retry
        self.call_monitor_timeout = call_monitor_timeout
        self.transport_options = transport_options

    def prepare(
        self, exchange=_unset, topic=_unset, namespace=_unset, version=_unset, server=_unset, fanout=_unset,
        timeout=_unset, version_cap=_unset, retry=_unset, call_monitor_timeout=_unset, transport_options=_unset,
    ):
        """The same but for what is given."""
        if version is not _unset:
            _check(version)
        given = {
            "exchange": exchange, "topic": topic, "namespace": namespace, "version": version, "server": server,
            "fanout": fanout,
        }
        target = self.target(**{name: value for name, value in given.items() if value is not _unset})

        def chosen(value, own):
            return own if value is _unset else value

        return _CallContext(
            self.transport, target, self.serializer,
            timeout=chosen(timeout, self.timeout),
            version_cap=chosen(version_cap, self.version_cap),
            retry=chosen(retry, self.retry),
            call_monitor_timeout=chosen(call_monitor_timeout, self.call_monitor_timeout),
            transport_options=chosen(transport_options, self.transport_options),
        )

    def can_send_version(self, version=_unset):
        """Whether the cap has room for a version."""
        return version_is_compatible(self.version_cap, self.target.version if version is _unset else version)

    def call(self, ctxt, method, **kwargs):
        """Calls, and returns the result."""
        if self.target.fanout:
            raise exceptions.InvalidTarget("A call cannot be used with fanout", self.target)
        timeout = self.timeout
        if timeout is None:
            timeout = getattr(self.conf, "rpc_response_timeout", _TIMEOUT)
        asked, arguments = self._request(ctxt, kwargs, timeout)
        try:
            result = asked.call(method, **arguments)
        except _rpc.RemoteError as error:
            raise _remote.exception(error, self.transport.allowed_remote_exmods, RemoteError) from None
        except (_rpc.MessagingTimeout, _rpc.MessageDeliveryFailure) as error:
            raise getattr(exceptions, type(error).__name__)(str(error)) from None
        return self.serializer.deserialize_entity(ctxt, result)

    def cast(self, ctxt, method, **kwargs):
        """Casts: nobody waits for a result."""
        asked, arguments = self._request(ctxt, kwargs, None)
        try:
            (asked.fanout if self.target.fanout else asked.cast)(method, **arguments)
        except _rpc.MessageDeliveryFailure as error:
            raise exceptions.MessageDeliveryFailure(str(error)) from None

    def _request(self, ctxt, kwargs, timeout):
        """The target as the host knows it, and the arguments. The context that goes along is that of the request being handled."""
        if not version_is_compatible(self.version_cap, self.target.version):
            raise RPCVersionCapError(version=self.target.version, version_cap=self.version_cap)
        if _rpc is None:
            raise ImportError(_missing)
        target = self.target
        if not target.topic:
            raise exceptions.InvalidTarget("A topic is required to send", target)
        arguments = {name: self.serializer.serialize_entity(ctxt, argument) for name, argument in kwargs.items()}
        asked = _rpc.Target(
            target.topic, server=target.server, namespace=target.namespace, version=target.version, timeout=timeout,
            monitor=self.call_monitor_timeout,
        )
        return asked, arguments


class RPCClient(_CallContext):
    """A client: `get_rpc_client` makes it."""


def get_rpc_client(transport, target, client_cls=RPCClient, **kwargs):
    """A client for a target."""
    return client_cls(transport, target, **kwargs)


def _check(version):
    try:
        version_is_compatible(version, version)
    except (IndexError, ValueError):
        raise exceptions.MessagingException(
            f"Version must contain a major and minor integer. Got {version}"
        ) from None
