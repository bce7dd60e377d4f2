"""Exceptions that are looked at and raised again."""

import functools
import logging
import sys

__all__ = ["CausedByException", "exception_filter", "raise_with_cause", "save_and_reraise_exception"]


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
        if self.value is None:
            raise RuntimeError("There is no (currently) captured exception to force the reraising of")
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


class exception_filter:
    """A decorator of what says which exceptions are ignored: its result is a context, or is called with an exception."""

    def __init__(self, should_ignore_ex):
        self._ignores = should_ignore_ex
        functools.update_wrapper(self, should_ignore_ex)

    def __get__(self, obj, owner):
        return type(self)(self._ignores.__get__(obj, owner))

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        return exc_val is not None and self._ignores(exc_val)

    def __call__(self, ex):
        if not self._ignores(ex):
            raise ex
