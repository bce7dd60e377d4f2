"""UUIDs as text."""

import uuid

__all__ = ["generate_uuid", "is_uuid_like"]


def generate_uuid(dashed=True):
    """A new one."""
    return str(uuid.uuid4()) if dashed else uuid.uuid4().hex


def _normal(text):
    text = text.replace("urn:", "").replace("uuid:", "").strip("{}")
    return text.replace("-", "").lower()


def is_uuid_like(val):
    """Whether this is one, in whatever form."""
    try:
        return str(uuid.UUID(val)).replace("-", "") == _normal(val)
    except (TypeError, ValueError, AttributeError):
        return False
