"""Greets people."""

import nova


@nova.method(version="1.0")
def greet(name: str) -> str:
    if not name:
        raise ValueError("nobody to greet")
    return f"hello, {name}"
