"""The way to the broker, which is the host's: there is nothing to open here."""

__all__ = ["RPCTransport", "TransportOptions", "set_transport_defaults"]


class RPCTransport:
    """What clients and servers are made with."""

    def __init__(self, conf, allowed_remote_exmods=()):
        self.conf = conf
        self.allowed_remote_exmods = ["oslo_messaging.exceptions", "builtins", *allowed_remote_exmods]

    def cleanup(self):
        """Nothing is open."""


class TransportOptions:
    """Options of a single request."""

    def __init__(self, at_least_once=False):
        self.at_least_once = at_least_once


def set_transport_defaults(control_exchange):
    """The exchange is the host's: its configuration has `control_exchange`."""
