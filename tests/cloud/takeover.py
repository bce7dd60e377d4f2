"""How the Python conductor is put aside: on a control exchange of its own, with something in front of it where it stood.

What it then sends to others goes to its own exchange too, and comes back to `nova` by the bindings of `connect_back`. README.md has what was
found about them, and about queues that two exchanges share.
"""

from forwarder import QUEUE
from parts import Part
from place import BIN, HERE
from settings import LEGACY

# What nova-conductor asks for of others, and each of their servers by name (`#` is any number of words, so none as well).
OTHERS = ("compute.#", "compute-alt.#", "scheduler.#")


def connect_back(broker, others=OTHERS):
    """Lets what the conductor sends to others reach them."""
    for exchange in ("nova", LEGACY):
        broker.declare_topic_exchange(exchange)
    for key in others:
        broker.bind(LEGACY, "nova", key, to="e")


def stand_in(cloud):
    """In front of the conductor stands the broker itself: a binding, which does what forwarding comes to, without a process."""
    connect_back(cloud.broker)
    cloud.broker.bind("nova", LEGACY, "conductor.#", to="e")


def forwarder(cloud, name="forwarder"):
    """In front of the conductor stands the reference forwarder."""
    connect_back(cloud.broker)
    cloud.parts.add(Part(name, [BIN / "python", HERE / "forwarder.py", f"127.0.0.1:{cloud.broker.port}"],
                         cloud.place.logs / f"{name}.log", ready=lambda: cloud.broker.consumers(QUEUE) > 0))
    cloud.parts.start(name)


def clear(broker, topic="conductor"):
    """Takes away whatever gets the requests to a topic of `nova`; queues that have no other binding go, so none may hold anything."""
    for destination, key in broker.bindings("nova"):
        if key == topic or key.startswith(f"{topic}."):
            if destination == LEGACY:
                broker.unbind("nova", LEGACY, key, to="e")
            else:
                broker.api("DELETE", "queues", "/", destination)
