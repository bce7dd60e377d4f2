"""Modules and classes by their names. Those that were read when the sandbox was made are there, and no others."""

import sys

__all__ = ["import_any", "import_class", "import_module", "import_object", "try_import"]


def import_module(import_str):
    """A module."""
    __import__(import_str)
    return sys.modules[import_str]


def import_class(import_str):
    """A class."""
    module, _, name = import_str.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except AttributeError:
        raise ImportError(f"Class {name} cannot be found in {module}") from None


def import_object(import_str, *args, **kwargs):
    """An object of a class."""
    return import_class(import_str)(*args, **kwargs)


def try_import(import_str, default=None):
    """A module, if it is there."""
    try:
        return import_module(import_str)
    except ImportError:
        return default


def import_any(*import_strs):
    """The first that is there."""
    for name in import_strs:
        module = try_import(name)
        if module:
            return module
    raise ImportError(f"Unable to import any modules from the list {import_strs}")
