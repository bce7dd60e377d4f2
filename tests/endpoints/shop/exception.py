"""What goes wrong in the shop."""


class ShopException(Exception):
    """The base of the others, as OpenStack's services have it."""

    msg_fmt = "An unknown exception occurred."

    def __init__(self, message=None, **kwargs):
        self.kwargs = kwargs
        super().__init__(message or self.msg_fmt % kwargs)


class OutOfStock(ShopException):
    msg_fmt = "There is no %(article)s left."
