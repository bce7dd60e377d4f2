"""`nova_guest.config` by its short name."""

import sys

from nova_guest import config

sys.modules[__name__] = config
