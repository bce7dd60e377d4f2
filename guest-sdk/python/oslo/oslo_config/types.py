"""Values of options, from text as a manifest has them."""

_TRUE = ("true", "1", "on", "yes")
_FALSE = ("false", "0", "off", "no")


def string(choices=None, max_length=None, ignore_case=False):
    """Text, one of `choices` where there are some."""

    def convert(value):
        value = str(value)
        if max_length and len(value) > max_length:
            raise ValueError(f"Value '{value}' exceeds maximum length {max_length}")
        if choices is None:
            return value
        for choice in choices:
            # With what each means, where they are pairs.
            choice = choice[0] if isinstance(choice, tuple) else choice
            if choice == value or (ignore_case and str(choice).lower() == value.lower()):
                return value
        raise ValueError(f"Valid values are {list(choices)}, but found {value!r}")

    return convert


def boolean(value):
    """One of the words for yes and no."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(f"Unexpected boolean value {value!r}")
    return word in _TRUE


def number(kind, min=None, max=None):
    """A number within bounds."""

    def convert(value):
        value = kind(value)
        if min is not None and value < min:
            raise ValueError(f"Should be greater than or equal to {min}")
        if max is not None and value > max:
            raise ValueError(f"Should be less than or equal to {max}")
        return value

    return convert


def items(convert=str):
    """A list, with commas between its items."""

    def read(value):
        if isinstance(value, (list, tuple)):
            return [convert(item) for item in value]
        return [convert(item.strip()) for item in value.split(",")] if value.strip() else []

    return read


def pairs(value):
    """A dict, `name:value` with commas between."""
    if isinstance(value, dict):
        return value
    found = [pair.partition(":") for pair in value.split(",") if pair.strip()]
    if any(not colon for _, colon, _ in found):
        raise ValueError(f"Value should be NAME:VALUE pairs, but found {value!r}")
    return {name.strip(): text.strip() for name, _, text in found}
