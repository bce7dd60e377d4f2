"""Exceptions as nova builds them: a message, or keyword arguments that its template is filled with."""


class NovaException(Exception):
    """The base: keeps its keyword arguments, which travel with it."""

    msg_fmt = "An unknown exception occurred."
    code = 500

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        self.kwargs.setdefault("code", self.code)
        super().__init__(message or self.msg_fmt % kwargs)


class InstanceNotFound(NovaException):
    """No such instance."""

    msg_fmt = "Instance %(instance_id)s could not be found."
    code = 404


class NoValidHost(NovaException):
    """Nowhere to go."""

    msg_fmt = "No valid host was found. %(reason)s"
