"""An exception as its caller meets it, whatever is in it.

Before it: `nova_entry` has caught one. After it: the host. Everything in an exception may be code of the handler's that raises
in its turn: `__str__`, `args`, a metaclass. What such code should have said is left out here, and the rest is told; only a
panic goes on.
"""

import json
import sys
import traceback

import nova_guest as nova
from nova_guest import _errno

#: Bytes of a message; the rest is cut. All of a failure has to fit into `limits.result`, which is 16 MiB by default.
_MESSAGE = 2 << 20

#: Bytes of arguments as JSON; beyond it the message stands for them.
_ARGUMENTS = 6 << 20

#: Lines of a traceback, of which the middle is left out; and letters of each.
_LINES, _LINE = 200, 4096

#: Exceptions in a chain of causes, groups in one another, and members of all of them that are told.
_CHAIN, _DEPTH, _MEMBERS = 16, 8, 100

#: Levels of lists in an argument; a value with more is a trap where C code walks through it, before Python sees how deep it is.
_LEVELS = 500

#: Python's frames while words are asked for: of those whose words never end, the trap would be next.
_FRAMES = 200

#: What oslo.messaging's clients add to class and module of an exception that came from another service.
_REMOTE = "_Remote"

#: What stands for words that cannot be had, as in Python's own tracebacks.
_NO_WORDS = "<exception str() failed>"

_name = type.__dict__["__name__"].__get__
_module = type.__dict__["__module__"].__get__
_base_args = BaseException.__dict__["args"].__get__
_members = BaseExceptionGroup.__dict__["exceptions"].__get__


def failure(error: BaseException) -> dict:
    """The fields of the shared record `failure`. Raises nothing but a panic."""
    frames = sys.getrecursionlimit()
    sys.setrecursionlimit(min(frames, _FRAMES))
    try:
        return _failure(error)
    finally:
        sys.setrecursionlimit(frames)


def _failure(error):
    class_, module, args, message = _known(error)
    if _is(error, BaseExceptionGroup):
        # A client cannot make exceptions of the members' words: with one argument it does not try.
        message = _cut(message + _tried(lambda: _told(error), ""))
        args = (message,)
    kwargs = _tried(lambda: _keywords(error), "{}")
    lines = _tried(lambda: _lines(error), [])
    if _is(error, nova.Failure) and _tried(lambda: error.traceback is not None, False):
        lines = _tried(lambda: [nova._words(line) for line in error.traceback], lines)
    positional = _tried(lambda: "[" + ", ".join([_json(arg) for arg in args]) + "]", "[]")
    if len(positional) > _ARGUMENTS:
        positional = json.dumps([message[: _MESSAGE >> 2]])
    return {
        "class_": class_, "module": module, "message": message, "args": positional,
        "kwargs": "{}" if len(kwargs) > _ARGUMENTS else kwargs, "traceback": _shortened(lines),
    }


def _known(error):
    """Class, module, arguments and message."""
    class_, module = _class(error)
    args = tuple([_Unsaid(arg) if _is_deep(arg) else arg for arg in _tried(lambda: _arguments(error), ())])
    linux, args, message = _tried(lambda: _errno.on_linux(error, args), (None, args, None))
    message = _message(error) if message is None else nova._words(message)
    if _is(error, nova.Failure):
        class_ = _tried(lambda: nova._words(error.class_), "")
        module = _tried(lambda: nova._words(error.module), "builtins")
        message = _tried(lambda: _cut(nova._words(error.message)), message)
    return class_ if linux is None else linux, module, args, message


def _tried(run, otherwise):
    """What a function returns; what it raises, if not a panic, is left out."""
    try:
        return run()
    except nova.Panic:
        raise
    except BaseException:
        return otherwise


def _is(error, kind):
    """`isinstance`, whatever the error says of its class."""
    return issubclass(type(error), kind)


def _class(error):
    """Class and module, past whatever a metaclass makes of them."""
    kind = type(error)
    # The bases are asked for a name if it has none.
    named = next((base for base in kind.__mro__ if _name(base)), Exception)
    module = _tried(lambda: _module(named), None)
    name = _name(named)
    if isinstance(module, str) and module.endswith(_REMOTE) and name.endswith(_REMOTE):
        # What another service raised goes on to the caller under its own name.
        name, module = name.removesuffix(_REMOTE), module.removesuffix(_REMOTE)
    return nova._words(name), nova._words(module) if isinstance(module, str) and module else "<unknown>"


def _cut(words):
    if len(words) * 4 <= _MESSAGE:
        return words
    return words.encode()[:_MESSAGE].decode(errors="ignore")


def _message(error):
    args = _base_args(error)
    words = None
    if not any(_is_deep(arg) for arg in args):
        # Where its own words fail, those of its arguments may do.
        words = _tried(lambda: nova._words(str(error)), None)
        if words is None:
            words = _tried(lambda: nova._words(BaseException.__str__(error)), None)
    return _cut(nova._words(_plain(args)) if words is None else words)


def _plain(args):
    """What `BaseException` says, but for the arguments that cannot be said."""
    if len(args) == 1:
        return _said(args[0], str)
    return "(" + ", ".join([_said(arg, repr) for arg in args]) + ")" if args else _NO_WORDS


def _said(value, how):
    return f"<{_name(type(value))} object>" if _is_deep(value) else _tried(lambda: how(value), f"<{_name(type(value))} object>")


class _Unsaid:
    """Stands for a value that is too deep to be said."""

    def __init__(self, value):
        self._name = _name(type(value))

    def __repr__(self):
        return f"<{self._name} object>"


def _is_deep(value):
    """Whether lists and the like are in one another more than `_LEVELS` times. What leads back to itself is not."""
    seen, waiting = set(), [(value, 0)]
    while waiting:
        value, depth = waiting.pop()
        kind = next((kind for kind in (list, tuple, dict) if _is(value, kind)), None)
        if kind is None or id(value) in seen:
            continue
        if depth > _LEVELS:
            return True
        seen.add(id(value))
        inner = dict.values(value) if kind is dict else kind.__iter__(value)
        waiting += [(item, depth + 1) for item in inner]
    return False


def _arguments(error):
    args = _tried(lambda: error.args, None)
    return args if type(args) is tuple else _base_args(error)


def _keywords(error):
    kwargs = getattr(error, "kwargs", None)
    if not isinstance(kwargs, dict):
        return "{}"
    pairs = [(_tried(lambda: str(name), None), value) for name, value in kwargs.items()]
    return "{" + ", ".join([f"{json.dumps(name)}: {_json(value)}" for name, value in pairs if name is not None]) + "}"


def _json(value) -> str:
    """JSON text of whatever an exception holds: its words, where JSON has no other for it."""
    text = _tried(lambda: nova.dumps(value), None)
    if text is None:
        text = _tried(lambda: json.dumps(str(value)), None)
    return json.dumps(f"<{_name(type(value))} object>") if text is None else text


def _line(error):
    """`module.Class: message`, as in Python's tracebacks."""
    class_, module, _, message = _known(error)
    name = class_ if module in ("builtins", "__main__") else f"{module}.{class_}"
    return f"{name}: {message}" if message else name


def _told(group):
    """A group's members, in words."""
    left = _MEMBERS

    def told(group, depth):
        nonlocal left
        members, words = _members(group), []
        for at, member in enumerate(members):
            if left == 0 or depth == _DEPTH:
                words.append(f"and {len(members) - at} more")
                break
            left -= 1
            inner = told(member, depth + 1) if _is(member, BaseExceptionGroup) else ""
            words.append(_line(member) + inner)
        return ": [" + "; ".join(words) + "]"

    return told(group, 0)


def _lines(error):
    """Where it was raised, outermost first, after what caused it, and before a group's members."""
    chain, seen = [], set()
    while error is not None and len(chain) < _CHAIN and id(error) not in seen:
        seen.add(id(error))
        cause, context = error.__cause__, None if error.__suppress_context__ else error.__context__
        link = (
            "The above exception was the direct cause of the following exception:" if cause is not None
            else "During handling of the above exception, another exception occurred:" if context is not None
            else None
        )
        chain.append((error, link))
        error = cause if cause is not None else context
    lines = []
    for at, (error, link) in reversed(list(enumerate(chain))):
        if link is not None and at < len(chain) - 1:
            lines.append(link)
        lines += _frames(error)
        if _is(error, BaseExceptionGroup):
            lines += _grouped(error, 0)
        if at > 0:
            lines.append(_line(error))
    return lines


def _grouped(group, depth):
    lines = []
    for number, member in enumerate(_members(group)[:_MEMBERS], 1):
        margin = "  " * depth
        lines.append(f"{margin}+ {number}: {_line(member)}")
        lines += [f"{margin}| {line}" for line in _frames(member)]
        if _is(member, BaseExceptionGroup) and depth < _DEPTH:
            lines += _grouped(member, depth + 1)
        if len(lines) > _LINES:
            break
    return lines


def _frames(error):
    return [
        f"at {frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.endswith("/nova_entry.py") and not frame.filename.startswith(nova._HERE)
    ]


def _shortened(lines):
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], f"... {len(lines) - _LINES} lines ...", *lines[-half:]]
    return [nova._words(line)[:_LINE] for line in lines]
