"""What endpoints and RPC API classes take of oslo.messaging, over Nova Host.

The host is the server and the transport: who asks is answered by it, and what is asked of others goes through `nova.rpc`, as
far as the manifest grants it. So nothing here opens a connection, starts a thread or reads a configuration file; what would
have to, raises an error that says so. Names, arguments and exceptions are those of oslo.messaging 18.
"""

from oslo_messaging.exceptions import (
    ConfigurationError, InvalidTarget, MessageDeliveryFailure, MessageUndeliverable, MessagingException, MessagingTimeout,
)
from oslo_messaging.rpc import (
    ClientSendError, DefaultRPCAccessPolicy, ExpectedException, ExplicitRPCAccessPolicy, LegacyRPCAccessPolicy,
    NoSuchMethod, RemoteError, RPCAccessPolicyBase, RPCClient, RPCDispatcherError, RPCVersionCapError, UnsupportedVersion,
    expected_exceptions, expose, get_rpc_client, get_rpc_server, get_rpc_transport,
)
from oslo_messaging.serializer import JsonPayloadSerializer, NoOpSerializer, Serializer
from oslo_messaging.server import MessagingServerError
from oslo_messaging.target import Target
from oslo_messaging.transport import TransportOptions, set_transport_defaults

__all__ = [
    "ClientSendError", "ConfigurationError", "DefaultRPCAccessPolicy", "ExpectedException", "ExplicitRPCAccessPolicy",
    "InvalidTarget", "JsonPayloadSerializer", "LegacyRPCAccessPolicy", "MessageDeliveryFailure", "MessageUndeliverable",
    "MessagingException", "MessagingServerError", "MessagingTimeout", "NoOpSerializer", "NoSuchMethod", "RPCAccessPolicyBase", "RPCClient",
    "RPCDispatcherError", "RPCVersionCapError", "RemoteError", "Serializer", "Target", "TransportOptions",
    "UnsupportedVersion", "expected_exceptions", "expose", "get_rpc_client", "get_rpc_server", "get_rpc_transport",
    "set_transport_defaults",
]


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"oslo_messaging.{name} is not in the sandbox: its oslo_messaging has what endpoints and RPC API classes take"
    )
