"""Text and bytes."""

__all__ = ["exception_to_unicode", "safe_decode", "safe_encode", "to_utf8"]


def safe_decode(text, incoming=None, errors="strict"):
    """Text of text or bytes."""
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"{type(text)} can't be decoded")
    return text if isinstance(text, str) else text.decode(incoming or "utf-8", errors)


def safe_encode(text, incoming=None, encoding="utf-8", errors="strict"):
    """Bytes of text or bytes."""
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"{type(text)} can't be encoded")
    return text.encode(encoding, errors) if isinstance(text, str) else text


def to_utf8(text):
    """Bytes, in UTF-8."""
    return safe_encode(text)


def exception_to_unicode(exc):
    """An exception's words."""
    return str(exc)
