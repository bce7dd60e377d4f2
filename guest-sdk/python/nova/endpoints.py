"""`nova_guest.endpoints` by its short name."""

import sys

from nova_guest import endpoints

sys.modules[__name__] = endpoints
