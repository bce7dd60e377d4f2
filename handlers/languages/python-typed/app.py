"""The calculator that every language has, typed, in Python: the functions of `wit/calculator.wit`."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.api import Missing, Problem_InstanceNotFound, Problem_OverflowError, Problem_ZeroDivisionError
from wit_world.imports.types import JsonValue

import json

import nova
from nova import trace


class Api(exports.Api):
    calls_made = 0

    def add(self, a: int, b: int) -> int:
        if not -(2**63) <= a + b < 2**63:
            raise Err(Problem_OverflowError("integer overflow"))
        return a + b

    def divide(self, a: float, b: float) -> float:
        if b == 0:
            raise Err(Problem_ZeroDivisionError("division by zero"))
        return a / b

    def echo(self, value: JsonValue) -> JsonValue:
        return value

    def concat(self, texts: list[str], separator: str | None) -> str:
        return (separator or "").join(texts)

    def blob(self, size: int) -> str:
        return "x" * size

    def not_found(self, instance_id: str) -> None:
        message = f"Instance {instance_id} could not be found."
        raise Err(Problem_InstanceNotFound(Missing(message, instance_id, 404)))

    def context(self) -> JsonValue:
        return JsonValue(json.dumps(nova.context()))

    def log(self, message: str) -> None:
        nova.log.info(message)
        print("printed " + message, flush=True)

    def panic(self, message: str) -> None:
        # An exception that WIT has no error for.
        raise RuntimeError(message)

    def loop_forever(self) -> None:
        while True:
            pass

    def allocate(self, mib: int) -> int:
        return len(bytearray(mib << 20))

    def calls(self) -> int:
        Api.calls_made += 1
        return Api.calls_made

    def object_action(self, objmethod: str) -> str:
        if objmethod != "save":
            raise nova.Declined
        return "saved"

    def mark(self, step: str) -> bool:
        trace.set_attributes({"calc.step": step, "calc.count": 3, "calc.share": 0.5, "calc.done": True})
        trace.add_event("step done", {"calc.count": 3, "calc.step": step})
        return trace.is_recording()
