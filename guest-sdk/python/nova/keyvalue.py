"""`nova_guest.keyvalue` by its short name."""

import sys

from nova_guest import keyvalue

sys.modules[__name__] = keyvalue
