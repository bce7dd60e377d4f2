"""Exceptions that are hard to tell a caller about."""

import errno
import sys
from enum import Enum

import nova


def _raising(what):
    raise what


class Mute(Exception):
    """Whose words are an exception."""

    def __str__(self):
        raise ValueError("no words")

    __repr__ = __str__


class Faceless(Exception):
    """Nothing of which can be read."""

    args = property(lambda self: _raising(RuntimeError("no args")))
    kwargs = property(lambda self: _raising(SystemExit(3)))
    __class__ = property(lambda self: _raising(RuntimeError("no class")))
    __traceback__ = property(lambda self: _raising(RuntimeError("no traceback")))


class Nameless(type):
    """Of whose classes neither name nor module can be read."""

    __name__ = property(lambda cls: _raising(RuntimeError("no name")))
    __module__ = property(lambda cls: _raising(RuntimeError("no module")))


class Recursive(Exception):
    """Whose words never end."""

    def __str__(self):
        return str(self)


class Panicking(Exception):
    """Whose words end the instance."""

    def __str__(self):
        nova.panic("last words")


class Colour(Enum):
    RED = 1


class Odd:
    """Whose every attribute raises."""

    def __getattribute__(self, name):
        raise SystemExit(4)

    def __str__(self):
        raise KeyboardInterrupt


def _deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def _caused():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError:
        raise TypeError("third")


def _grouped():
    inner = ExceptionGroup("inner", [OSError(13, "denied"), Mute("mute")])
    raise ExceptionGroup("half \ud800 done", [ValueError("one"), inner])


def _recurse():
    _recurse()


def _circle():
    value = ["round"]
    value.append(value)
    raise ValueError(value)


def _ring():
    first, second = ValueError("ring"), KeyError("ring")
    first.__cause__, second.__cause__ = second, first
    raise first


def _changed(error, **attributes):
    for name, value in attributes.items():
        setattr(error, name, value)
    raise error


def _module(module):
    _raising(type("Placed", (Exception,), {"__module__": module})("placed"))


WAYS = {
    "half": lambda: _raising(ValueError("half \ud800 pair")),
    "nul": lambda: _raising(ValueError("a\0b")),
    "large": lambda: _raising(ValueError("é" * (1 << 19))),
    "huge": lambda: _raising(ValueError("é" * (8 << 20))),
    "mute": lambda: _raising(Mute("mute", 1)),
    "faceless": lambda: _raising(Faceless("faceless")),
    "nameless": lambda: _raising(Nameless("Unnamed", (Exception,), {})("nameless")),
    "no name": lambda: _raising(type("", (KeyError,), {})("no name")),
    "half module": lambda: _module("mo\udfffd"),
    "no module": lambda: _module(None),
    "recursive words": lambda: _raising(Recursive("recursive")),
    "arguments": lambda: _raising(ValueError("arguments", Odd(), b"\xff", {1, 2}, {(1, 2): 3}, float("nan"), Colour.RED)),
    "odd argument": lambda: _raising(ValueError(Odd())),
    "deep": lambda: _raising(ValueError("deep", _deep(900))),
    "deeper": lambda: _raising(ValueError("deeper", _deep(100_000))),
    "long number": lambda: _raising(ValueError("long", 10**4400)),
    "circle": _circle,
    "recursion": _recurse,
    "ring": _ring,
    "caused": _caused,
    "group": _grouped,
    "base group": lambda: _raising(BaseExceptionGroup("words", [SystemExit(5), KeyError("k")])),
    "own group": lambda: _raising(type("Own", (ExceptionGroup,), {"__str__": lambda self: "own"})("words", [KeyError("k")])),
    "exit": lambda: sys.exit("out"),
    "interrupt": lambda: _raising(KeyboardInterrupt("stop")),
    "generator": lambda: _raising(GeneratorExit("gone")),
    "decode": lambda: b"ab\xff".decode(),
    "encode": lambda: "half \ud800".encode(),
    "result": lambda: {1, Odd()},
    "deep result": lambda: _deep(100_000),
    "failure": lambda: _raising(nova.Failure(404, "half \ud800", module="half.\ud800", args=["\ud800", Odd()], kwargs={"a": Odd()})),
    "changed failure": lambda: _changed(nova.Failure("Changed", "words"), message=Odd(), traceback=[1, Odd()]),
    "changed kwargs": lambda: _changed(ValueError("kwargs"), kwargs={1: Odd(), Odd(): 1, "\ud800": "\ud800"}),
    "logged": lambda: (nova.log.warn("half \ud800 line"), _raising(ValueError("logged"))),
    "panicking words": lambda: _raising(Panicking("panicking")),
    # Of Linux, and of whatever machine this is.
    "errno 13": lambda: _raising(OSError(13, "no entry")),
    "errno 2": lambda: _raising(OSError(2, "not here", "file")),
    "errno 104": lambda: _raising(OSError(104, "reset")),
    "errno EACCES": lambda: _raising(OSError(errno.EACCES, "by its name")),
    "errno 13 by hand": lambda: _raising(PermissionError(13, "by hand")),
    "open": lambda: open("/nothing/here"),
}


@nova.method(version="1.3")
def fail_oddly(how):
    return WAYS[how]()
