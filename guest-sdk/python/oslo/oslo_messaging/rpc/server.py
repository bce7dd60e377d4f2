"""Servers, which are the host: to start one is to say what it serves."""

import functools

from nova_guest.endpoints import serve
from oslo_messaging.rpc.dispatcher import ExpectedException

__all__ = ["RPCServer", "expected_exceptions", "expose", "get_rpc_server"]


class RPCServer:
    """Serves its endpoints once it is started. Topic and server are the host's, whatever its target says."""

    def __init__(self, transport, target, endpoints, serializer=None, access_policy=None):
        self.conf = transport.conf
        self.target = target
        self._endpoints = endpoints
        self._options = {"serializer": serializer, "access_policy": access_policy}
        self._is_started = False

    def start(self, override_pool_size=None):
        """Has the handler offer the endpoints' methods: while its modules are read, and once."""
        if not self._is_started:
            serve(self._endpoints, **self._options)
            self._is_started = True

    def stop(self):
        """The host ends when it is told to."""

    def wait(self):
        """There is nothing to wait for."""

    def reset(self):
        """There is nothing to forget."""


def get_rpc_server(
    transport, target, endpoints, executor=None, serializer=None, access_policy=None, server_cls=RPCServer
):
    """A server of these endpoints."""
    return server_cls(transport, target, endpoints, serializer=serializer, access_policy=access_policy)


def expected_exceptions(*exceptions):
    """A decorator: these exceptions of a method are answers, and nothing that has gone wrong."""

    def decorate(method):
        @functools.wraps(method)
        def run(*args, **kwargs):
            try:
                return method(*args, **kwargs)
            except exceptions:
                raise ExpectedException from None

        return run

    return decorate


def expose(method):
    """A decorator: `ExplicitRPCAccessPolicy` has it served."""
    method.exposed = True
    return method
