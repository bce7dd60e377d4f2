"""Joins a typed project's `app` to its world, and lets its functions raise `nova.Declined`."""

import sys

import app

# What does not import it cannot raise it, and its world may lack what it imports.
if "nova_guest" in sys.modules:
    from nova_guest import _declined

    _declined.allow(app)

globals().update({name: value for name, value in vars(app).items() if not name.startswith("__")})
