"""Loggers, whose lines go to the service's log: Python's own, which the SDK has set up."""

import logging

__all__ = [
    "CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "KeywordArgumentAdapter", "NOTSET", "TRACE", "WARN", "WARNING",
    "getLogger", "register_options", "set_defaults", "setup",
]

CRITICAL, FATAL, ERROR = logging.CRITICAL, logging.FATAL, logging.ERROR
WARNING = WARN = logging.WARNING
INFO, DEBUG, NOTSET = logging.INFO, logging.DEBUG, logging.NOTSET
TRACE = DEBUG - 5


class KeywordArgumentAdapter(logging.LoggerAdapter):
    """A logger that takes other keywords, such as `resource` or `instance`, and leaves them out of the line."""

    def process(self, msg, kwargs):
        own = {name: kwargs[name] for name in ("exc_info", "stack_info", "stacklevel") if name in kwargs}
        resource = kwargs.get("resource")
        if resource:
            # As oslo.log writes it.
            kind, name = next(iter(resource.items())) if "type" not in resource else (resource["type"], resource.get("id"))
            msg = f"[{kind} {name}] {msg}"
        return msg, own

    def trace(self, msg, *args, **kwargs):
        """Below DEBUG."""
        self.log(TRACE, msg, *args, **kwargs)

    warn = logging.LoggerAdapter.warning


def getLogger(name=None, project="unknown", version="unknown"):
    """A logger by its name."""
    return KeywordArgumentAdapter(logging.getLogger(name), {})


getLazyLogger = getLogger


def register_options(conf):
    """What is logged is an option of the host."""


def set_defaults(*args, **kwargs):
    """What is logged is an option of the host."""


def setup(conf, product_name, version="unknown", **kwargs):
    """The log is set up."""
