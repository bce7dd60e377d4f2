"""How the shop asks others."""

import oslo_messaging as messaging
from oslo_config import cfg

CONF = cfg.CONF


class SchedulerAPI:
    """Client side of the scheduler's RPC API."""

    def __init__(self):
        transport = messaging.get_rpc_transport(CONF, allowed_remote_exmods=["shop.exception"])
        target = messaging.Target(topic="scheduler", version="4.0")
        self.client = messaging.get_rpc_client(transport, target, version_cap="4.5")

    def select(self, ctxt, count):
        cctxt = self.client.prepare(version="4.5", timeout=60)
        return cctxt.call(ctxt, "select_destinations", request_spec={"num_instances": count})


class ComputeAPI:
    """Client side of the computes' RPC API."""

    def __init__(self):
        target = messaging.Target(topic="compute", version="6.0")
        self.client = messaging.get_rpc_client(messaging.get_rpc_transport(CONF), target)

    def build(self, ctxt, host, number):
        self.client.prepare(server=host).cast(ctxt, "build_and_run_instance", number=number)
