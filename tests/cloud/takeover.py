"""How the Python conductor is put aside: on a control exchange of its own, with something in front of it where it stood.

What it then sends to others goes to its own exchange too, and comes back to `nova` by the bindings of `connect_back`. README.md has what was
found about them, and about queues that two exchanges share.
"""

import contextlib
import time

from forwarder import QUEUE
from parts import Part, wait_until
from place import BIN, HERE
from settings import LEGACY

# What nova-conductor asks for of others, and each of their servers by name (`#` is any number of words, so none as well).
OTHERS = ("compute.#", "compute-alt.#", "scheduler.#")
# Where a front listens that comes while the conductor serves, and the policy that is there as it comes.
FRONT, POLICY = "nova_host", "nova-host-takeover"


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


def forwarder(cloud, exchange="nova", name="forwarder"):
    """In front of the conductor stands the reference forwarder."""
    connect_back(cloud.broker)
    cloud.parts.add(Part(name, [BIN / "python", HERE / "forwarder.py", f"127.0.0.1:{cloud.broker.port}", exchange],
                         cloud.place.logs / f"{name}.log", ready=lambda: cloud.broker.consumers(QUEUE) > 0))
    cloud.parts.start(name)


def move(cloud, front):
    """Puts a front between callers and a conductor that goes on serving, and loses and doubles nothing.

    The conductor's queues stay where its requests go, but get them by its new exchange. To take the old binding away before the new one is
    there loses what comes in between, the other way round doubles it; so what `nova` has no other queue for goes to the
    front meanwhile, as its alternate exchange. `front` is called with the exchange that the front has to listen to, and starts it.
    """
    broker = cloud.broker
    broker.declare_topic_exchange(FRONT)
    connect_back(broker)
    taken = [(queue, key) for queue, key in broker.bindings("nova") if is_conductors(key)]
    for queue, key in taken:
        broker.bind(LEGACY, queue, key)
    front(cloud, FRONT)
    with otherwise(broker, FRONT):
        for queue, key in taken:
            broker.unbind("nova", queue, key)
        broker.bind("nova", FRONT, "conductor.#", to="e")


def move_back(cloud):
    """The same the other way round: the conductor's queues get what is sent to `nova` again."""
    broker = cloud.broker
    taken = [(queue, key) for queue, key in broker.bindings(LEGACY) if is_conductors(key)]
    with otherwise(broker, LEGACY):
        broker.unbind("nova", FRONT, "conductor.#", to="e")
        for queue, key in taken:
            broker.bind("nova", queue, key)


def alternates(broker):
    """The policies of docs/takeover.md: what the conductor sends to others reaches them, and what nobody else takes goes to the front."""
    for exchange, alternate in ((LEGACY, "nova"), ("nova", FRONT), (FRONT, LEGACY)):
        broker.declare_topic_exchange(exchange)
        broker.api("PUT", "policies", "/", f"{exchange}-alternate", body={
            "pattern": f"^{exchange}$", "apply-to": "exchanges", "priority": 100, "definition": {"alternate-exchange": alternate}})


@contextlib.contextmanager
def rest(cloud):
    """For a while, the front keeps what is for the conductor, which has nothing left to do: it may stop.

    A Python server that stops in order takes requests until its connection is closed, and drops what comes after its
    listener has stopped. As it starts again it binds its queues itself; what never stopped gets its bindings back.
    """
    broker = cloud.broker
    taken = [(queue, key) for queue, key in broker.bindings(LEGACY) if is_conductors(key)]
    for queue, key in taken:
        broker.unbind(LEGACY, queue, key)
    # It acknowledges a request when it has read it, and goes on with all that it has read. Statistics are a fifth of a second old.
    for _ in range(3):
        time.sleep(0.3)
        wait_until(lambda: all(not broker.queue(queue).get("messages") for queue, _ in taken), 60, "the conductor does not come to rest")
    yield
    for queue, key in taken:
        broker.bind(LEGACY, queue, key)


@contextlib.contextmanager
def otherwise(broker, exchange):
    """For a while, what is sent to `nova` and has no queue there goes to another exchange."""
    broker.api("PUT", "policies", "/", POLICY, body={
        "pattern": "^nova$", "apply-to": "exchanges", "priority": 100, "definition": {"alternate-exchange": exchange}})
    wait_until(lambda: broker.api("GET", "exchanges", "/", "nova").get("policy") == POLICY, 10, "the policy is not in force")
    yield
    broker.api("DELETE", "policies", "/", POLICY)


def is_conductors(key):
    return key == "conductor" or key.startswith("conductor.")


def clear(broker):
    """Takes away whatever gets the conductor's requests from `nova`; queues that have no other binding go, so none may hold anything."""
    for destination, key in broker.bindings("nova"):
        if is_conductors(key):
            if destination == LEGACY:
                broker.unbind("nova", LEGACY, key, to="e")
            else:
                broker.api("DELETE", "queues", "/", destination)
