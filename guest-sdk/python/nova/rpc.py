"""`nova_guest.rpc` by its short name."""

import sys

from nova_guest import rpc

sys.modules[__name__] = rpc
