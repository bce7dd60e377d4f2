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


def _about(kwargs):
    """What a line is about, as oslo.log writes it before the line."""
    instance, resource = kwargs.get("instance"), kwargs.get("resource")
    # Percent signs are those of the line's own format.
    if instance or kwargs.get("instance_uuid"):
        uuid = kwargs.get("instance_uuid")
        try:
            uuid = instance["uuid"] if instance else uuid
        except (KeyError, TypeError):
            return str(instance).replace("%", "%%")
        return f"[instance: {uuid}] ".replace("%", "%%")
    if not isinstance(resource, dict):
        return ""
    name = resource.get("name") or f"{resource.get('type')}-{resource.get('id')}"
    return f"[{name}] ".replace("%", "%%")


class KeywordArgumentAdapter(logging.LoggerAdapter):
    """A logger that takes other keywords, such as `resource` or `instance`, and leaves them out of the line."""

    def process(self, msg, kwargs):
        own = {name: kwargs[name] for name in ("exc_info", "stack_info", "stacklevel") if name in kwargs}
        return f"{_about(kwargs)}{msg}", own

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
