"""oslo.messaging 1.3.0, of the year 2014, on today's Python and under today's names.

It is the oldest release there is, and speaks Havana's wire: a result is two messages, replies go to an exchange of
their own, `_timeout` is not sent. It was written for Python 2.6 to 3.3; what has gone since is put back here, nothing
that it sends or understands is changed.
"""

import ssl
import sys
import threading

import oslo
import oslo_config
import oslo_config.cfg  # noqa: F401 (an attribute of the package)

# Packages of OpenStack lived in a namespace package then.
oslo.config = sys.modules["oslo.config"] = oslo_config
sys.modules["oslo.config.cfg"] = oslo_config.cfg
# Only named in a table of versions that nobody chooses from.
ssl.PROTOCOL_SSLv3 = ssl.PROTOCOL_SSLv23

from oslo import messaging  # noqa: E402
from oslo.messaging import RemoteError, RPCClient, Target  # noqa: E402, F401
from oslo.messaging._drivers import impl_rabbit  # noqa: E402


def consume(self, limit=None, timeout=None):
    """A generator that raises StopIteration, to end, has failed since Python 3.7 (PEP 479)."""
    try:
        for _ in self.iterconsume(limit=limit, timeout=timeout):
            pass
    except RuntimeError as error:
        if not isinstance(error.__cause__, StopIteration):
            raise


impl_rabbit.Connection.consume = consume
# It does not look at a target's exchange. Services said theirs once for all, as nova did.
messaging.set_transport_defaults(control_exchange="nova")

get_rpc_client = RPCClient
set_transport_defaults = messaging.set_transport_defaults
get_rpc_transport = messaging.get_transport


class Server:
    """A server whose start() returns when it listens; it ends with the process, and answers one request at a time."""

    def __init__(self, transport, target, endpoints):
        self.server = messaging.get_rpc_server(transport, target, endpoints)

    def start(self):
        dispatcher, listening = self.server.dispatcher, threading.Event()
        listen = dispatcher._listen

        def announce(transport):
            listener = listen(transport)
            listening.set()
            return listener

        dispatcher._listen = announce
        threading.Thread(target=self.server.start, daemon=True).start()
        listening.wait()

    def stop(self):
        pass

    def wait(self):
        pass


get_rpc_server = Server
