"""A caller of the conductor's, as a compute is one, that shows what it is answered: before any object is made of it.

    python caller.py BROKER_URL METHOD VERSION ARGUMENTS          the last as JSON, and so the answer
    python caller.py BROKER_URL METHOD VERSION ARGUMENTS TIMES    what each of so many calls took, one after the other, in seconds
"""

import json
import sys
import time

from oslo_config import cfg
import oslo_messaging


def main(broker, method, version, arguments, times=None):
    cfg.CONF([], default_config_files=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=broker)
    target = oslo_messaging.Target(exchange="nova", topic="conductor", version=version)
    client = oslo_messaging.get_rpc_client(transport, target, timeout=30)
    context = {"user_id": "admin", "project_id": "admin", "is_admin": True}
    call = lambda: client.call(context, method, **json.loads(arguments))
    answer = call()
    if times:
        answer = []
        for _ in range(int(times)):
            begun = time.perf_counter()
            call()
            answer.append(time.perf_counter() - begun)
    print(json.dumps(answer, sort_keys=True))
    transport.cleanup()


if __name__ == "__main__":
    main(*sys.argv[1:])
