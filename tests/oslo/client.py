"""A real oslo.messaging client, driven by the Rust tests over standard input and output. It runs with the newest
release and with the oldest (`oldest.py`), which does not know `call_monitor_timeout`, `retry` and `at_least_once`.

    client.py TRANSPORT_URL [MODULE ...]

Every MODULE may be imported to rebuild a remote exception (`allowed_remote_exmods`).

One JSON object a line comes in, and one goes out for each, in the order of completion: calls run in threads, so that
many may be outstanding. A request names `id`, `op` ("call" or "cast"), `topic`, `method`, and what it needs of: `exchange`
(default "nova"), `namespace`, `version`, `server`, `fanout`, `timeout`, `call_monitor_timeout`, `retry`, `version_cap`,
`at_least_once`, `context`, `args`, or `args_expr`, a Python expression for arguments that JSON cannot say.

The answer has `id`, `seconds`, and either `ok` or `error`. The process ends when its input does.
"""

import concurrent.futures
import datetime  # noqa: F401 (for `args_expr`)
import json
import os
import sys
import threading
import time
import uuid  # noqa: F401 (for `args_expr`)

from oslo_config import cfg

import traced

try:
    import oslo_messaging
except ModuleNotFoundError:
    import oldest as oslo_messaging

TARGET_KEYS = ("topic", "namespace", "version", "server", "fanout")
PREPARE_KEYS = ("timeout", "call_monitor_timeout", "retry", "version_cap")
# More than any test has outstanding.
THREADS = 256


def representable(value):
    """The value, or its repr where it is not what every JSON parser reads: NaN, half a surrogate pair, objects."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return value
    except (TypeError, ValueError):
        return {"repr": repr(value)}


def described(error):
    """Everything a test wants to know about an exception."""
    kind = type(error)
    description = {
        "type": kind.__name__,
        "module": kind.__module__,
        "bases": [f"{base.__module__}.{base.__name__}" for base in kind.__mro__[1:]],
        "str": str(error),
        "args": [representable(argument) for argument in error.args],
        "kwargs": representable(getattr(error, "kwargs", {})),
    }
    if isinstance(error, oslo_messaging.RemoteError):
        description["remote"] = {
            "exc_type": error.exc_type,
            "value": representable(error.value),
            "traceback": representable(error.traceback),
        }
    return description


def perform(transport, request):
    """Sends one request; the result of a call, None for a cast."""
    target = oslo_messaging.Target(
        exchange=request.get("exchange", "nova"),
        **{key: request[key] for key in TARGET_KEYS if key in request},
    )
    client = oslo_messaging.get_rpc_client(transport, target)
    options = {key: request[key] for key in PREPARE_KEYS if key in request}
    if request.get("at_least_once"):
        options["transport_options"] = oslo_messaging.TransportOptions(at_least_once=True)
    arguments = eval(request["args_expr"]) if "args_expr" in request else request.get("args", {})
    send = {"call": client.prepare(**options).call, "cast": client.prepare(**options).cast}[request["op"]]
    return send(request.get("context", {}), request["method"], **arguments)


def answer(transport, request, output_lock):
    """Performs one request and writes its answer."""
    started = time.monotonic()
    try:
        outcome = {"ok": representable(perform(transport, request))}
    except Exception as error:
        outcome = {"error": described(error)}
    outcome |= {"id": request["id"], "seconds": time.monotonic() - started}
    with output_lock:
        print(json.dumps(outcome), flush=True)


def main():
    url, *modules = sys.argv[1:]
    # The global configuration: a private one lacks an option that oslo.messaging 18 reads, and every call fails.
    cfg.CONF([], project="nova-host-tests")
    traced.switch_on(cfg.CONF)
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url, allowed_remote_exmods=modules)
    output_lock = threading.Lock()
    threads = concurrent.futures.ThreadPoolExecutor(THREADS)
    for line in sys.stdin:
        threads.submit(answer, transport, json.loads(line), output_lock)
    # Calls that nobody waits for any more must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
