"""Options, whose values are in the section `[config]` of the handler's manifest.

An option `workers` is the value `workers`; one of the group `conductor` is `"conductor.workers"`. Nothing is read from files and
command lines. An option that is not there has its default. Names with `-` are those with `_`, as everywhere.
"""

import collections.abc

from nova_guest import config
from oslo_config import types

__all__ = [
    "BoolOpt", "CONF", "ConfigFileValueError", "ConfigOpts", "ConfigSourceValueError", "DeprecatedOpt", "DictOpt", "DuplicateOptError", "Error",
    "FloatOpt", "HostAddressOpt", "HostnameOpt", "IPOpt", "IntOpt", "ListOpt", "MultiStrOpt", "NoSuchGroupError",
    "NoSuchOptError", "Opt", "OptGroup", "PortOpt", "RequiredOptError", "StrOpt", "URIOpt",
]

_unset = object()


class Error(Exception):
    """The base of the others."""


class NoSuchOptError(Error, AttributeError):
    """Nobody has registered the option."""

    def __init__(self, opt_name, group=None):
        super().__init__(f"no such option {opt_name} in group [{group.name if group else 'DEFAULT'}]")


class NoSuchGroupError(Error):
    """Nobody has registered the group."""

    def __init__(self, group_name):
        super().__init__(f"no such group [{group_name}]")


class DuplicateOptError(Error):
    """The option is there, and is another."""

    def __init__(self, opt_name):
        super().__init__(f"duplicate option: {opt_name}")


class RequiredOptError(Error):
    """The manifest has no value."""

    def __init__(self, opt_name, group=None):
        name = f"{group.name}.{opt_name}" if group else opt_name
        super().__init__(f"value required for option {opt_name} in group [{group.name if group else 'DEFAULT'}]: write"
                         f' "{name}" into [config] of the manifest')


class ConfigSourceValueError(Error, ValueError):
    """The base of the next."""


class ConfigFileValueError(ConfigSourceValueError):
    """The manifest's value is none of the option's."""


class DeprecatedOpt:
    """An older name of an option."""

    def __init__(self, name, group=None):
        self.name = name
        self.group = group


class Opt:
    """An option: its name, what its value is, and its default."""

    convert = staticmethod(types.string())

    def __init__(
        self, name, type=None, dest=None, default=None, required=None, deprecated_name=None, deprecated_group=None,
        deprecated_opts=None, help=None, secret=False, **ignored,
    ):
        self.name = name
        self.dest = (dest or name).replace("-", "_")
        self.default = default
        self.required = bool(required)
        self.help = help
        self.secret = secret
        if type is not None:
            self.convert = type
        self.older = list(deprecated_opts or [])
        if deprecated_name is not None or deprecated_group is not None:
            self.older.append(DeprecatedOpt(deprecated_name or name, deprecated_group))

    def _names(self, group):
        """As the manifest may have it, best first."""
        own = group.name if group else None
        for name, of in [(self.name, own), *((old.name or self.name, old.group or own) for old in self.older)]:
            for name in dict.fromkeys((name.replace("-", "_"), name.replace("_", "-"))):
                yield f"DEFAULT.{name}" if of == "DEFAULT" else f"{of}.{name}" if of else name
                if of == "DEFAULT":
                    yield name

    def _read(self, group):
        for name in self._names(group):
            text = config.get(name)
            if text is None:
                continue
            try:
                return self.convert(text)
            except (TypeError, ValueError) as error:
                # Without the value, which may be a secret.
                reason = type(error).__name__ if self.secret else str(error)
                raise ConfigFileValueError(f"Value for option {name} is not valid: {reason}") from None
        if self.default is None and self.required:
            raise RequiredOptError(self.name, group)
        return self.default


class StrOpt(Opt):
    """Text."""

    def __init__(self, name, choices=None, ignore_case=None, max_length=None, **kwargs):
        for other in ("quotes", "regex"):
            kwargs.pop(other, None)
        super().__init__(name, type=types.string(choices, max_length, bool(ignore_case)), **kwargs)


class _Text(Opt):
    """Text of a kind that is not looked into here."""

    def __init__(self, name, **kwargs):
        for other in ("version", "schemes", "max_length", "max_version"):
            kwargs.pop(other, None)
        super().__init__(name, **kwargs)


class HostAddressOpt(_Text):
    """A host's name or address."""


class HostnameOpt(_Text):
    """A host's name."""


class IPOpt(_Text):
    """An address."""


class URIOpt(_Text):
    """A URI."""


class BoolOpt(Opt):
    """Yes or no."""

    convert = staticmethod(types.boolean)


class IntOpt(Opt):
    """A whole number."""

    def __init__(self, name, min=None, max=None, **kwargs):
        super().__init__(name, type=types.number(int, min, max), **kwargs)


class PortOpt(IntOpt):
    """A port."""

    def __init__(self, name, min=0, max=65535, **kwargs):
        kwargs.pop("choices", None)
        super().__init__(name, min, max, **kwargs)


class FloatOpt(Opt):
    """A number."""

    def __init__(self, name, min=None, max=None, **kwargs):
        super().__init__(name, type=types.number(float, min, max), **kwargs)


class ListOpt(Opt):
    """A list."""

    def __init__(self, name, item_type=str, bounds=None, **kwargs):
        super().__init__(name, type=types.items(item_type), **kwargs)


class MultiStrOpt(ListOpt):
    """A list, which files have as a line for each."""


class DictOpt(Opt):
    """A dict."""

    convert = staticmethod(types.pairs)


class OptGroup:
    """A group of options."""

    def __init__(self, name, title=None, help=None, **ignored):
        self.name = name
        self.title = title
        self.help = help


class _Options(collections.abc.Mapping):
    """Options by their names, as attributes and as items."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def __init__(self, group=None):
        self._group = group
        self._opts = {}
        self._given = {}
        self._defaults = {}

    def _register(self, opt):
        known = self._opts.get(opt.dest)
        if known is not None and (type(known), known.name, known.default) != (type(opt), opt.name, opt.default):
            raise DuplicateOptError(opt.name)
        self._opts[opt.dest] = opt
        return known is None

    def _value(self, name):
        opt = self._opts.get(name)
        if opt is None:
            raise NoSuchOptError(name, self._group)
        if name in self._given:
            return self._given[name]
        if name in self._defaults and all(config.get(text) is None for text in opt._names(self._group)):
            return self._defaults[name]
        return opt._read(self._group)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._value(name)

    def __getitem__(self, name):
        return self.__getattr__(name)

    def __contains__(self, name):
        return name in self._opts

    def __iter__(self):
        return iter(self._opts)

    def __len__(self):
        return sum(1 for _ in self)


class ConfigOpts(_Options):
    """All options: those of no group, and the groups."""

    def __init__(self):
        super().__init__()
        self._groups = {}

    def __call__(self, args=None, **kwargs):
        """There are no files and no arguments to read; an argument is refused."""
        if args:
            raise Error("a handler has no command line: write options into [config] of its manifest")

    def register_group(self, group):
        """Has a group."""
        self._in(group)

    def register_opt(self, opt, group=None, cli=False):
        """Has an option. False where it was there."""
        return self._in(group)._register(opt)

    def register_opts(self, opts, group=None):
        """Has options."""
        for opt in opts:
            self.register_opt(opt, group)

    register_cli_opt = register_opt
    register_cli_opts = register_opts

    def import_opt(self, name, module_str, group=None):
        """Reads the module that registers an option."""
        __import__(module_str)
        if name not in self._in(group):
            raise NoSuchOptError(name, self._in(group)._group)

    def import_group(self, group, module_str):
        """Reads the module that registers a group."""
        __import__(module_str)

    def set_override(self, name, override, group=None):
        """Has this value, whatever the manifest says."""
        options = self._in(group)
        options._value(name)
        options._given[name] = override

    def set_default(self, name, default, group=None):
        """Has this value where the manifest has none."""
        options = self._in(group)
        if name not in options:
            raise NoSuchOptError(name, options._group)
        options._defaults[name] = default

    def clear_override(self, name, group=None):
        """Forgets `set_override`."""
        self._in(group)._given.pop(name, None)

    def _in(self, group):
        if group is None:
            return self
        name = group.name if isinstance(group, OptGroup) else group
        if name == "DEFAULT":
            return self
        if name not in self._groups:
            self._groups[name] = _Options(group if isinstance(group, OptGroup) else OptGroup(name))
        return self._groups[name]

    def __getattr__(self, name):
        groups = self.__dict__.get("_groups", {})
        return groups[name] if name in groups and name not in self._opts else super().__getattr__(name)

    def __contains__(self, name):
        return name in self._groups or super().__contains__(name)

    def __iter__(self):
        yield from super().__iter__()
        yield from self._groups


CONF = ConfigOpts()


def set_defaults(opts, **kwargs):
    """Other defaults of options that are not registered yet."""
    for opt in opts:
        if opt.dest in kwargs:
            opt.default = kwargs[opt.dest]


def find_config_files(*args, **kwargs):
    """There are none."""
    return []
