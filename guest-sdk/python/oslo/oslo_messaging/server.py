"""What is wrong with servers."""

from oslo_messaging.exceptions import MessagingException

__all__ = ["MessagingServerError"]


class MessagingServerError(MessagingException):
    """The base of what is wrong with a server, or with a request to it."""
