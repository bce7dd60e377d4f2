"""A scheduler and two compute services that only say what they were asked, with real oslo.messaging.

    services.py TRANSPORT_URL

Prints `ready` when all consume, and then one JSON object a line for each request: `service` ("scheduler", "host1",
"host2"), `method`, `version` of the endpoint that answered, `args`, `context`. What the scheduler answers is the last
line that came in: `choose` (at first), `one` (a host for the first instance only), `none` (NoValidHost), `large`
(the second instance's host has limits of some megabytes), `silent`. Ends with its input.
"""

import json
import os
import sys
import threading

from oslo_config import cfg

import oslo_messaging
from nova.exception import NoValidHost

HOSTS = ("host1", "host2")
OUTPUT = threading.Lock()
behaviour = "choose"
# Some megabytes as text, and more than the 64 MiB that a handler has once each number is a value of its own.
MANY = [0] * 2_200_000
# Never set: whoever waits for it waits until the process ends.
NEVER = threading.Event()


def report(service, method, version, context, arguments):
    """Tells the test."""
    line = {"service": service, "method": method, "version": version, "context": context, "args": arguments}
    with OUTPUT:
        print(json.dumps(line), flush=True)


def versioned(name, version, data):
    """An object as nova writes it."""
    return {
        "nova_object.name": name, "nova_object.namespace": "nova", "nova_object.version": version,
        "nova_object.data": data, "nova_object.changes": sorted(data),
    }


def selection(host, topology=None):
    """What nova's scheduler says of one host."""
    limits = {"numa_topology": topology, "vcpu": 16, "disk_gb": 100, "memory_mb": 4096}
    return versioned("Selection", "1.1", {
        "service_host": host, "nodename": f"node-of-{host}", "availability_zone": "nova",
        "limits": versioned("SchedulerLimits", "1.0", limits), "allocation_request": None,
        "allocation_request_version": None, "cell_uuid": "00000000-0000-0000-0000-000000000066",
        "compute_node_uuid": "00000000-0000-0000-0000-000000000055",
    })


class Scheduler:
    """Puts instances on one host after the other."""

    target = oslo_messaging.Target(version="4.5")

    def select_destinations(self, ctxt, spec_obj=None, instance_uuids=None, return_objects=False, **arguments):
        arguments |= {"spec_obj": spec_obj, "instance_uuids": instance_uuids, "return_objects": return_objects}
        report("scheduler", "select_destinations", self.target.version, ctxt, arguments)
        if behaviour == "silent":
            NEVER.wait()
        if behaviour == "none":
            raise NoValidHost(reason="all full")
        count = len(instance_uuids) if instance_uuids else arguments["request_spec"]["num_instances"]
        hosts = [HOSTS[index % len(HOSTS)] for index in range(1 if behaviour == "one" else count)]
        if return_objects:
            others = {host: [other for other in HOSTS if other != host] for host in HOSTS}
            lists = [[selection(host)] + [selection(other) for other in others[host]] for host in hosts]
            if behaviour == "large":
                lists[1][0] = selection(hosts[1], MANY)
            return lists
        return [{"host": host, "nodename": f"node-of-{host}", "limits": {"memory_mb": 4096}} for host in hosts]


class Compute:
    """A compute service, which builds nothing."""

    def __init__(self, host, version):
        self.host = host
        self.target = oslo_messaging.Target(version=version)

    def build_and_run_instance(self, ctxt, **arguments):
        report(self.host, "build_and_run_instance", self.target.version, ctxt, arguments)


def serve(transport, topic, server, endpoints):
    target = oslo_messaging.Target(exchange="nova", topic=topic, server=server)
    rpc_server = oslo_messaging.get_rpc_server(transport, target, endpoints)
    rpc_server.start()


def main():
    global behaviour
    cfg.CONF([], project="nova-host-tests")
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, sys.argv[1])
    serve(transport, "scheduler", "scheduler1", [Scheduler()])
    for host in HOSTS:
        serve(transport, "compute", host, [Compute(host, version) for version in ("6.4", "4.13", "1.0")])
    print("ready", flush=True)
    for line in sys.stdin:
        behaviour = line.strip()
        with OUTPUT:
            print(json.dumps({"behaviour": behaviour}), flush=True)
    # A silent scheduler must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
