"""`nova_guest.http` by its short name."""

import sys

from nova_guest import http

sys.modules[__name__] = http
