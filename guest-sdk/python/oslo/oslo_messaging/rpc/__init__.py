"""RPC: clients, and what endpoints are made of."""

from oslo_messaging.rpc.client import ClientSendError, RemoteError, RPCClient, RPCVersionCapError, get_rpc_client
from oslo_messaging.rpc.dispatcher import (
    DefaultRPCAccessPolicy, ExpectedException, ExplicitRPCAccessPolicy, LegacyRPCAccessPolicy, NoSuchMethod,
    RPCAccessPolicyBase, RPCDispatcherError, UnsupportedVersion,
)
from oslo_messaging.rpc.server import expected_exceptions, expose, get_rpc_server
from oslo_messaging.rpc.transport import get_rpc_transport

__all__ = [
    "ClientSendError", "DefaultRPCAccessPolicy", "ExpectedException", "ExplicitRPCAccessPolicy", "LegacyRPCAccessPolicy",
    "NoSuchMethod", "RPCAccessPolicyBase", "RPCClient", "RPCDispatcherError", "RPCVersionCapError", "RemoteError",
    "UnsupportedVersion", "expected_exceptions", "expose", "get_rpc_client", "get_rpc_server", "get_rpc_transport",
]
