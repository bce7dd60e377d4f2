"""The calculator that every language has, in Python: what a handler can do, and do wrong."""

import logging
import sys

import nova

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
