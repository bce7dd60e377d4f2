"""The calculator that every language has, in Python: what a handler can do, and do wrong."""

import logging
import sys

import fresh  # noqa: F401 (its method)
import nova
import odd  # noqa: F401 (its method)
from nova import config, http, keyvalue, rpc, trace

_calls = 0


@nova.method(version="1.3")
def add(a: int, b: int) -> int:
    return a + b


@nova.method(version="1.3")
def divide(a: float, b: float) -> float:
    return a / b


@nova.method(version="1.3")
def echo(value):
    return value


@nova.method(version="1.3")
def concat(texts, separator=""):
    return separator.join(texts)


@nova.method(version="1.3")
def blob(size):
    return "x" * size


@nova.method(version="1.3")
def not_found(instance_id):
    raise nova.Failure(
        "InstanceNotFound",
        f"Instance {instance_id} could not be found.",
        module="nova.exception",
        kwargs={"instance_id": instance_id, "code": 404},
    )


@nova.method(version="1.3")
def context():
    return nova.context()


@nova.method(version="1.3")
def log(message):
    logging.getLogger("calculator").info(message)
    print("printed " + message)
    sys.stdout.flush()


@nova.method(version="1.3")
def panic(message):
    nova.panic(message)


@nova.method(version="1.3")
def loop_forever():
    while True:
        pass


@nova.method(version="1.3")
def allocate(mib):
    block = bytearray(mib << 20)
    return len(block)


@nova.method(version="1.3")
def calls():
    global _calls
    _calls += 1
    return _calls


@nova.method(version="1.3")
def object_action(objmethod):
    if objmethod != "save":
        raise nova.Declined
    return "saved"


@nova.method(version="1.3")
def mark(step):
    trace.set_attributes({"calc.step": step, "calc.count": 3, "calc.share": 0.5, "calc.done": True})
    trace.add_event("step done", {"calc.count": 3, "calc.step": step})
    return trace.is_recording()


# What a manifest grants: requests to others, configuration, state, HTTP.


@nova.method(version="1.3")
def ask(target, name, arguments):
    return rpc.Target(**target).call(name, **arguments)


@nova.method(version="1.3")
def ask_kindly(target, name, arguments):
    try:
        return rpc.Target(**target).call(name, **arguments)
    except rpc.RemoteError as error:
        return ["remote", error.module, error.class_, error.message]
    except rpc.MessagingTimeout as error:
        return ["timed out", str(error)]


@nova.method(version="1.3")
def ask_all(name, calls):
    answers = rpc.call_many(name, [(rpc.Target(**target), arguments) for target, arguments in calls])
    return [answer if not isinstance(answer, Exception) else _class(answer) for answer in answers]


def _class(error):
    return error.class_ if isinstance(error, rpc.RemoteError) else type(error).__name__


@nova.method(version="1.3")
def tell(target, name, arguments, everybody=False, then_fail=False):
    target = rpc.Target(**target)
    (target.fanout if everybody else target.cast)(name, **arguments)
    if then_fail:
        raise ValueError("told, and failed")


@nova.method(version="1.3")
def setting(name):
    return [config.get(name), sorted(config.all())]


@nova.method(version="1.3")
def remember(key, value, ttl=None, then_fail=False):
    keyvalue.set(key, value, ttl)
    if then_fail:
        raise ValueError("remembered, and failed")
    return keyvalue.exists(key)


@nova.method(version="1.3")
def recall(key):
    value = keyvalue.get(key)
    return [value if value is None else value.decode(), keyvalue.exists(key), keyvalue.keys()]


@nova.method(version="1.3")
def fill(number):
    for at in range(number):
        keyvalue.set(f"{at:05}", "")


@nova.method(version="1.3")
def forget(key):
    keyvalue.delete(key)


@nova.method(version="1.3")
def count(key, delta):
    return keyvalue.increment(key, delta)


@nova.method(version="1.3")
def exchange(key, current=None, next=None):
    return keyvalue.swap(key, current, next)


@nova.method(version="1.3")
def fetch(verb, url, headers=(), body="", timeout=None):
    answer = http.request(verb, url, headers=headers, body=body, timeout=timeout)
    return {"status": answer.status, "type": answer.header("Content-Type"), "none": answer.header("x-none"),
            "names": [name for name, _ in answer.headers], "text": answer.text()}


@nova.method(version="1.3")
def fetch_json(url, body=None):
    answer = http.get(url) if body is None else http.post(url, body)
    return [answer.status, answer.json()]


@nova.method(version="1.3")
def fetch_kindly(url):
    try:
        return http.get(url, timeout=1).status
    except (PermissionError, TimeoutError, ConnectionError) as error:
        return [type(error).__name__, str(error)]
