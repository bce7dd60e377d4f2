"""The way to the broker."""

from oslo_messaging.transport import RPCTransport

__all__ = ["get_rpc_transport"]


def get_rpc_transport(conf, url=None, allowed_remote_exmods=None):
    """The host's own broker. The exceptions of these modules come back as their own classes."""
    if url is not None:
        raise NotImplementedError(
            "a handler cannot choose its broker by a URL: the host's configuration names brokers, and nova.rpc.Target takes"
            " the name"
        )
    return RPCTransport(conf, allowed_remote_exmods or ())
