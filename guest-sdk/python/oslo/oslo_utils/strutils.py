"""Text of several kinds."""

import math
import re

__all__ = ["bool_from_string", "mask_password", "string_to_bytes", "to_slug"]

TRUE_STRINGS = ("1", "t", "true", "on", "y", "yes")
FALSE_STRINGS = ("0", "f", "false", "off", "n", "no")

_SECRETS = (
    "adminpass", "admin_pass", "password", "admin_password", "auth_token", "new_pass", "auth_password", "secret_uuid",
    "secret", "sys_pswd", "token",
)
_QUOTED = re.compile(
    rf"""((?:{'|'.join(_SECRETS)})[0-9]*["']?\s*[:=]\s*)(?:(["']).*?\2|[^\s"',}}]+)""", re.IGNORECASE | re.DOTALL
)
_UNITS = {"": 0, "k": 1, "K": 1, "Ki": 1, "M": 2, "Mi": 2, "G": 3, "Gi": 3, "T": 4, "Ti": 4, "P": 5, "Pi": 5}


def bool_from_string(subject, strict=False, default=False):
    """Yes or no, by the words for them."""
    if isinstance(subject, bool):
        return subject
    word = str(subject).strip().lower()
    if word in TRUE_STRINGS:
        return True
    if word in FALSE_STRINGS:
        return False
    if strict:
        raise ValueError(f"Unrecognized value '{subject}', acceptable values are: {TRUE_STRINGS + FALSE_STRINGS}")
    return default


def mask_password(message, secret="***"):
    """Text in which passwords and tokens cannot be read."""
    return _QUOTED.sub(lambda found: f"{found[1]}{found[2] or ''}{secret}{found[2] or ''}", str(message))


def mask_dict_password(dictionary, secret="***"):
    """A copy in which passwords and tokens cannot be read."""
    masked = {}
    for name, value in dictionary.items():
        if isinstance(value, dict):
            masked[name] = mask_dict_password(value, secret)
        elif any(word in str(name).lower() for word in _SECRETS):
            masked[name] = secret
        else:
            masked[name] = mask_password(value, secret) if isinstance(value, str) else value
    return masked


def string_to_bytes(text, unit_system="IEC", return_int=False):
    """Bytes of text such as `10GiB` or `8kb`."""
    found = re.fullmatch(r"([-+]?\d*\.?\d+)([KkMGTP]i?)?(b|bit|B)", text)
    if found is None:
        raise ValueError(f"Invalid string format: {text}")
    base = 1000 if unit_system == "SI" else 1024
    bytes_ = float(found[1]) * base ** _UNITS[found[2] or ""] / (8 if found[3] in ("b", "bit") else 1)
    return math.ceil(bytes_) if return_int else bytes_


def to_slug(value, incoming=None, errors="strict"):
    """Words with `-` between them."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", str(value)).strip().lower())
