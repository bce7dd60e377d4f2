"""The exceptions of oslo.messaging, which callers know by these names."""

__all__ = [
    "ConfigurationError", "InvalidTarget", "MessageDeliveryFailure", "MessageUndeliverable", "MessagingException",
    "MessagingTimeout",
]


class MessagingException(Exception):
    """The base of the others."""


class MessagingTimeout(MessagingException):
    """No reply came in time. The request may have been handled."""


class MessageDeliveryFailure(MessagingException):
    """Nobody serves the target, or the broker cannot be reached."""


class InvalidTarget(MessagingException, ValueError):
    """Nobody can be asked like this."""

    def __init__(self, msg, target):
        super().__init__(f"{msg}:{target}")
        self.target = target


class MessageUndeliverable(Exception):
    """A message that had to reach a queue did not."""

    def __init__(self, exception, exchange, routing_key, message):
        super().__init__()
        self.exception = exception
        self.exchange = exchange
        self.routing_key = routing_key
        self.message = message


class ConfigurationError(Exception):
    """Something is configured that cannot be."""
