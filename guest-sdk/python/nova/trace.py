"""`nova_guest.trace` by its short name."""

import sys

from nova_guest import trace

sys.modules[__name__] = trace
