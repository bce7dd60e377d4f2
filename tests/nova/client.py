"""A real nova client of the conductor, without a database: nova's own RPC classes and objects.

    client.py TRANSPORT_URL

One JSON object a line comes in: `version`, the most that the conductor may be asked for (null for today's), `how`,
"cast" as nova does it or "call" to learn how it ended, and `uuids`, of the instances to be built. One line goes out for
each: {"ok": RESULT}, or {"error": {"classes", "message", "kwargs"}}. Ends with its input.
"""

import json
import os
import sys

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

import nova.conf  # noqa: E402
from nova import context, objects, rpc  # noqa: E402
from nova.conductor import rpcapi  # noqa: E402

CONF = nova.conf.CONF
IMAGE = "00000000-0000-0000-0000-000000000077"


def flavor():
    """What the instances are like."""
    return objects.Flavor(
        id=1, flavorid="2", name="m1.small", memory_mb=2048, vcpus=1, root_gb=20, ephemeral_gb=0, swap=0,
        rxtx_factor=1.0, vcpu_weight=None, disabled=False, is_public=True, extra_specs={}, description=None,
        created_at=None, updated_at=None, deleted_at=None, deleted=False,
    )


def specification(uuids):
    """What nova's API asks the scheduler for."""
    return objects.RequestSpec(
        image=objects.ImageMeta(id=IMAGE, name="cirros", properties=objects.ImageMetaProps()),
        numa_topology=None, pci_requests=None, project_id="p-1", user_id="u-1", availability_zone=None,
        flavor=flavor(), num_instances=len(uuids), ignore_hosts=None, force_hosts=None, force_nodes=None,
        requested_destination=None, retry=None, limits=objects.SchedulerLimits(), instance_group=None,
        scheduler_hints={}, instance_uuid=uuids[0], security_groups=objects.SecurityGroupList(objects=[]),
        is_bfv=False, requested_resources=[],
    )


class Calling:
    """nova's client, but that it calls where nova casts. Everything else about the message stays nova's own."""

    def __init__(self, client):
        self.client = client
        self.can_send_version = client.can_send_version

    def prepare(self, **options):
        self.prepared = self.client.prepare(**options)
        return self

    def cast(self, ctxt, method, **arguments):
        self.result = self.prepared.call(ctxt, method, **arguments)


def build(version, how, uuids):
    """Asks for the instances, through nova's own class for that version."""
    api = rpcapi.ComputeTaskAPI()
    if version:
        # The cap that `[upgrade_levels] conductor` was, which nova has taken away and whose code it has kept.
        serializer = objects.base.NovaObjectSerializer()
        api.client = rpc.get_client(api.client.target, version_cap=version, serializer=serializer)
    if how == "call":
        api.client = Calling(api.client)
    user = context.RequestContext(
        user_id="u-1", project_id="p-1", auth_token="live-token", request_id="req-00000000-0000-0000-0000-000000000abc"
    )
    instances = [objects.Instance(uuid=uuid, flavor=flavor(), display_name=uuid[:8]) for uuid in uuids]
    api.build_instances(
        user,
        instances,
        {"id": IMAGE, "name": "cirros"},
        {},
        "hunter2",
        [],
        objects.NetworkRequestList(objects=[objects.NetworkRequest(network_id="00000000-0000-0000-0000-000000000003")]),
        objects.SecurityGroupList(objects=[]),
        objects.BlockDeviceMappingList(objects=[]),
        request_spec=specification(uuids),
    )
    return api.client.result if how == "call" else None


def main():
    # Read from here when somebody asks for it, which is later than it could be set.
    os.environ["OS_DEFAULT__TRANSPORT_URL"] = sys.argv[1]
    CONF([], project="nova", default_config_files=[])
    rpc.set_defaults(control_exchange="nova")
    rpc.init(CONF)
    objects.register_all()
    print(json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        try:
            answer = {"ok": build(**json.loads(line))}
        except Exception as error:
            kind = type(error)
            answer = {
                "error": {
                    "classes": [f"{base.__module__}.{base.__name__}" for base in kind.__mro__],
                    "message": str(error),
                    "kwargs": getattr(error, "kwargs", {}),
                }
            }
        print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
