"""Greets people: the functions of `wit/greeter.wit`."""

from componentize_py_types import Err
from wit_world import exports


class Api(exports.Api):
    def greet(self, name: str) -> str:
        if not name:
            raise Err("nobody to greet")
        return f"hello, {name}"
