"""Exceptions that are looked at and raised again."""

import functools
import logging
import sys

__all__ = ["CausedByException", "raise_with_cause", "save_and_reraise_exception"]


class save_and_reraise_exception:
    """In an `except`: what is being handled is raised when the block ends, unless `reraise` is False."""

    def __init__(self, reraise=True, logger=None):
        self.reraise = reraise
        self.logger = logging.getLogger() if logger is None else logger
        self.value = None

    def __enter__(self):
        self.value = sys.exc_info()[1]
        return self

    def force_reraise(self):
        """Raises it now."""
        if self.value is not None:
            raise self.value

    def __exit__(self, exc_type, exc_val, exc_tb):
        if exc_type is not None:
            if self.reraise:
                self.logger.error("Original exception being dropped: %r", self.value)
            return False
        if self.reraise:
            self.force_reraise()
        return False


class CausedByException(Exception):
    """With what caused it."""

    def __init__(self, message, cause=None):
        super().__init__(message)
        self.cause = cause


def raise_with_cause(exc_cls, message, *args, **kwargs):
    """Raises an exception that what is being handled has caused."""
    cause = kwargs.pop("cause", None) or sys.exc_info()[1]
    raise exc_cls(message, *args, cause=cause, **kwargs) from cause


def exception_filter(function):
    """A decorator of what says which exceptions are ignored: its result is a context."""

    class _Filter:
        def __init__(self, *args):
            self._args = args

        def __enter__(self):
            return self

        def __exit__(self, exc_type, exc_val, exc_tb):
            return exc_val is not None and bool(function(*self._args, exc_val))

    return functools.wraps(function)(lambda *args: _Filter(*args))
