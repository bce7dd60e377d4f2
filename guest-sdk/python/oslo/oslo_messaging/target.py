"""Who is asked, and what an endpoint answers to."""

__all__ = ["Target"]

_NAMES = ("exchange", "topic", "namespace", "version", "server", "fanout")


class Target:
    """A target; called, it is a copy with other values."""

    def __init__(
        self, exchange=None, topic=None, namespace=None, version=None, server=None, fanout=None, legacy_namespaces=None
    ):
        self.exchange = exchange
        self.topic = topic
        self.namespace = namespace
        self.version = version
        self.server = server
        self.fanout = fanout
        self.accepted_namespaces = [namespace, *(legacy_namespaces or [])]

    def __call__(self, **kwargs):
        return Target(**{name: getattr(self, name) for name in _NAMES} | kwargs)

    def __eq__(self, other):
        return isinstance(other, Target) and vars(self) == vars(other)

    __hash__ = object.__hash__

    def __repr__(self):
        values = [f"{name}={getattr(self, name)}" for name in _NAMES if getattr(self, name)]
        return f"<Target {', '.join(values)}>"
