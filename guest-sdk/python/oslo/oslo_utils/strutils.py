"""Text of several kinds."""

import collections.abc
import math
import re
import unicodedata

from oslo_utils import encodeutils

__all__ = [
    "bool_from_string", "check_string_length", "int_from_bool_as_string", "is_int_like", "is_valid_boolstr",
    "mask_dict_password", "mask_password", "string_to_bytes", "to_slug", "validate_integer",
]

TRUE_STRINGS = ("1", "t", "true", "on", "y", "yes")
FALSE_STRINGS = ("0", "f", "false", "off", "n", "no")

#: What names a secret, as in oslo.utils 10.
_SECRETS = (
    "adminpass admin_pass password admin_password auth_token new_pass auth_password secret_uuid secret sys_pswd token"
    " configdrive chappassword encrypted_key private_key fernetkey sslkey passphrase cephclusterfsid octaviaheartbeatkey"
    " rabbitcookie cephmanilaclientkey pacemakerremoteauthkey designaterndckey cephadminkey heatauthencryptionkey"
    " cephclientkey keystonecredential barbicansimplecryptokek cephrgwkey swifthashsuffix migrationsshkey cephmdskey"
    " cephmonkey chapsecret"
).split()

#: Where secrets stand in text, as in oslo.utils 10: what is in no group becomes asterisks.
_PLACES = (
    r"""(%s[0-9]*\s*[=]\s*["'])[^"']*(["'])""",
    r"""(%s[0-9]*\s*[=]\s*["])[^"]*(["])""",
    r"""(%s[0-9]*\s*[=]\s*['])[^']*(['])""",
    r"""(%s[0-9]*\s+["'])[^"']*(["'])""",
    r"""([-]{2}%s[0-9]*\s+)[^'^"^=^\s]+([\s]*)""",
    r"""(<%s[0-9]*>)[^<]*(</%s[0-9]*>)""",
    r"""(["']%s[0-9]*["']\s*:\s*["'])[^"']*(["'])""",
    r"""(['"][^"']*%s[0-9]*['"]\s*:\s*u?['"])[^"']*(['"])""",
    r"""(['"][^'"]*%s[0-9]*['"]\s*,\s*'--?[A-z]+'\s*,\s*u?['"])[^"']*(['"])""",
    r"""(%s[0-9]*\s*--?[A-z]+\s*)\S+(\s*)""",
    r"""(%s[0-9]*\s*[=]\s*)[^\s^'^"]+()""",
)

#: Quotes in quotes: what the places above leave of the secret goes.
_REST = r"""(['"][^"']*%s[0-9]*['"]\s*:\s*u?['"].*['"])[^"']*(['"])"""

_SIZES = {
    "IEC": re.compile(r"([-+]?\d*\.?\d+)([KMGTPEZYRQ]i?)?(b|bit|B)$"),
    "SI": re.compile(r"([-+]?\d*\.?\d+)([kMGTPEZYRQ])?(b|bit|B)$"),
    "mixed": re.compile(r"([-+]?\d*\.?\d+)([kKMGTPEZYRQ]i?)?(b|bit|B)$"),
}


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
        acceptable = ", ".join([f"'{word}'" for word in sorted(TRUE_STRINGS + FALSE_STRINGS)])
        raise ValueError(f"Unrecognized value '{subject}', acceptable values are: {acceptable}")
    return default


def int_from_bool_as_string(subject):
    """1 or 0, by the words for yes and no."""
    return int(bool_from_string(subject))


def is_valid_boolstr(value):
    """Whether this is a word for yes or no."""
    return str(value).lower() in TRUE_STRINGS + FALSE_STRINGS


def _masked(message, pattern, key, replacement):
    return re.sub(pattern.replace("%s", key), replacement, message, flags=re.DOTALL | re.IGNORECASE)


def mask_password(message, secret="***"):
    """Text in which passwords and tokens cannot be read."""
    message = message.decode(errors="ignore") if isinstance(message, bytes) else str(message)
    for key in _SECRETS:
        if key in message.lower():
            for pattern in _PLACES:
                message = _masked(message, pattern, key, rf"\g<1>{secret}\g<2>")
            message = _masked(message, _REST, key, r"\g<1>")
    return message


def mask_dict_password(dictionary, secret="***"):
    """A copy in which passwords and tokens cannot be read."""
    if not isinstance(dictionary, collections.abc.Mapping):
        raise TypeError(f"Expected a Mapping, got {type(dictionary)} instead.")
    masked = {}
    for name, value in dictionary.items():
        named = isinstance(name, str) and any(key in name.lower() for key in _SECRETS)
        masked[name] = secret if named and not isinstance(value, collections.abc.Mapping) else _masked_value(value, secret)
    return masked


def _masked_value(value, secret):
    if isinstance(value, collections.abc.Mapping):
        return mask_dict_password(value, secret)
    if isinstance(value, str):
        return mask_password(value, secret)
    if isinstance(value, collections.abc.Collection):
        items = [_masked_value(item, secret) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def string_to_bytes(text, unit_system="IEC", return_int=False):
    """Bytes of text such as `10GiB` or `8Kb`."""
    if unit_system not in _SIZES:
        raise ValueError(f'Invalid unit system: "{unit_system}"')
    found = _SIZES[unit_system].match(text)
    if found is None:
        raise ValueError(f"Invalid string format: {text}")
    prefix = found[2] or ""
    base = 1024 if unit_system == "IEC" or prefix.endswith("i") else 1000
    size = float(found[1]) / (8 if found[3] in ("b", "bit") else 1)
    if prefix:
        size *= base ** ("KMGTPEZYRQ".index(prefix[0].upper()) + 1)
    return math.ceil(size) if return_int else size


def to_slug(value, incoming=None, errors="strict"):
    """Words in small letters, with `-` between them."""
    text = unicodedata.normalize("NFKD", encodeutils.safe_decode(value, incoming, errors))
    text = re.sub(r"[^\w\s-]", "", text.encode("ascii", "ignore").decode()).strip().lower()
    return re.sub(r"[-\s]+", "-", text)


def is_int_like(val):
    """Whether this is a whole number or the text of one."""
    try:
        return str(int(val)) == str(val)
    except (TypeError, ValueError):
        return False


def check_string_length(value, name=None, min_length=0, max_length=None):
    """Raises `ValueError` for text that is too short or too long, and `TypeError` for what is no text."""
    name = value if name is None else name
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string or unicode")
    if len(value) < min_length:
        raise ValueError(f"{name} has {len(value)} characters, less than {min_length}.")
    if max_length and len(value) > max_length:
        raise ValueError(f"{name} has {len(value)} characters, more than {max_length}.")


def validate_integer(value, name, min_value=None, max_value=None):
    """A whole number within bounds; raises `ValueError` otherwise."""
    try:
        value = int(str(value))
    except ValueError:
        raise ValueError(f"{name} must be an integer") from None
    if min_value is not None and value < min_value:
        raise ValueError(f"{name} must be >= {min_value}")
    if max_value is not None and value > max_value:
        raise ValueError(f"{name} must be <= {max_value}")
    return value
