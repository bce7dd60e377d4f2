"""nova's own client of its base API, as each of nova's services has it.

    baseapi.py TRANSPORT_URL SERVER

Prints a JSON object: what `ping` and `get_backdoor_port` return, and the exception of a version that nobody has.
"""

import json
import os
import sys

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"
os.environ["OS_DEFAULT__TRANSPORT_URL"] = sys.argv[1]

import nova.conf  # noqa: E402
from nova import baserpc, context, rpc  # noqa: E402

CONF = nova.conf.CONF
CONF([], project="nova", default_config_files=[])
rpc.set_defaults(control_exchange="nova")
rpc.init(CONF)
api = baserpc.BaseAPI(topic="conductor")
admin = context.get_admin_context()
said = {"ping": api.ping(admin, {"a": [1, None]}, timeout=120)}
said["port"] = api.get_backdoor_port(admin, sys.argv[2])
try:
    api.client.prepare(version="1.2", timeout=120).call(admin, "ping", arg=1)
except Exception as error:
    said["newer"] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(said), flush=True)
os._exit(0)
