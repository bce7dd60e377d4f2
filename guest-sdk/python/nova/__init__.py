"""`nova_guest` by its short name, in projects that have no package `nova` of their own."""

from nova_guest import *  # noqa: F403
from nova_guest import __all__ as __all__
from nova_guest import dumps as dumps
