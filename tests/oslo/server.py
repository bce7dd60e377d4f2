"""A small real oslo.messaging server, of the newest release or the oldest (`oldest.py`), to test Nova Host's own client
against.

    server.py TRANSPORT_URL TOPIC [SERVER [EXCHANGE]]

Prints `ready` when it consumes, and ends when its standard input does.
"""

import sys
import time

from oslo_config import cfg

import traced

try:
    import oslo_messaging
except ModuleNotFoundError:
    import oldest as oslo_messaging

import nova.exception


class Endpoint:
    """The methods, in the null namespace, version 1.3."""

    target = oslo_messaging.Target(version="1.3")

    def echo(self, ctxt, **arguments):
        """What it was given."""
        return arguments

    def context(self, ctxt):
        """The context it was called with."""
        return ctxt

    def add(self, ctxt, a, b):
        """The sum."""
        return a + b

    def nothing(self, ctxt):
        """Returns None."""

    def fail(self, ctxt, message="as asked"):
        """Raises ValueError."""
        raise ValueError(message)

    def not_found(self, ctxt, instance_id):
        """Raises an exception of nova's, with arguments by name."""
        raise nova.exception.InstanceNotFound(instance_id=instance_id)

    def record(self, ctxt, n):
        """Writes to the log that it has run, as the handler of that name does."""
        # In one piece: other threads write too.
        sys.stderr.write(f"python: recorded {n}\n")
        return n

    def sleep(self, ctxt, seconds):
        """Answers late."""
        time.sleep(seconds)
        return seconds


class Namespaced(Endpoint):
    """The same in namespace `compute_task`, version 2.0."""

    target = oslo_messaging.Target(namespace="compute_task", version="2.0")


def main():
    url, topic = sys.argv[1:3]
    server, exchange = (sys.argv[3:] + ["python-1", "nova"][len(sys.argv) - 3 :])[:2]
    cfg.CONF([], project="nova-host-tests")
    traced.switch_on(cfg.CONF)
    # As a service's configuration says it, for the oldest release does not look at a target's exchange.
    oslo_messaging.set_transport_defaults(control_exchange=exchange)
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(topic=topic, server=server)
    rpc_server = oslo_messaging.get_rpc_server(transport, target, [Endpoint(), Namespaced()])
    rpc_server.start()
    print("ready", flush=True)
    sys.stdin.read()
    rpc_server.stop()
    rpc_server.wait()


if __name__ == "__main__":
    main()
