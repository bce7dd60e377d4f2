"""What says which methods of an endpoint are served. The host dispatches."""

import abc
import sys

from oslo_messaging.server import MessagingServerError

__all__ = [
    "DefaultRPCAccessPolicy", "ExpectedException", "ExplicitRPCAccessPolicy", "LegacyRPCAccessPolicy", "NoSuchMethod",
    "RPCAccessPolicyBase", "RPCDispatcherError", "UnsupportedVersion",
]


class ExpectedException(Exception):
    """Holds the exception that is being handled: it goes to the caller, and is nothing that has gone wrong."""

    def __init__(self):
        self.exc_info = sys.exc_info()


class RPCDispatcherError(MessagingServerError):
    """The base of what is wrong with a request."""


class NoSuchMethod(RPCDispatcherError, AttributeError):
    """No endpoint has the method."""

    def __init__(self, method):
        super().__init__(f"Endpoint does not support RPC method {method}")
        self.method = method


class UnsupportedVersion(RPCDispatcherError):
    """No endpoint has the version."""

    def __init__(self, version, method=None):
        attempted = f". Attempted method: {method}" if method else ""
        super().__init__(f"Endpoint does not support RPC version {version}{attempted}")
        self.version = version
        self.method = method


class RPCAccessPolicyBase(metaclass=abc.ABCMeta):
    """Says whether a method may be served."""

    @abc.abstractmethod
    def is_allowed(self, endpoint, method):
        """Whether this endpoint's method may be called."""


class LegacyRPCAccessPolicy(RPCAccessPolicyBase):
    """All of them."""

    def is_allowed(self, endpoint, method):
        return True


class DefaultRPCAccessPolicy(RPCAccessPolicyBase):
    """Those whose names do not begin with `_`."""

    def is_allowed(self, endpoint, method):
        return not method.startswith("_")


class ExplicitRPCAccessPolicy(RPCAccessPolicyBase):
    """Those that `expose` marks."""

    def is_allowed(self, endpoint, method):
        return hasattr(getattr(endpoint, method, None), "exposed")
