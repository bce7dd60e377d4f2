"""What the manifest gives the handler, in its section `config`, as text.

    from nova import config

    attempts = int(config.get("max_attempts", "3"))

Values may be secrets: never log them, and never put them into an exception.
"""

try:
    from wit_world.imports import config as _config
except ImportError:
    raise ImportError("nova.config: the world in wit/ does not import nova:rpc/config@0.1.0") from None

__all__ = ["all", "get"]


def get(name: str, default: str | None = None) -> str | None:
    """One value; `default` where the manifest has no such name."""
    value = _config.get(name)
    return default if value is None else value


def all() -> dict[str, str]:
    """All values by their names."""
    return dict(_config.get_all())
