"""Joins a dynamic project's `app` to the world `nova:rpc/dynamic`."""

import nova_guest as nova  # First: it marks the constants of `errno`, which the app may copy.
import app
from componentize_py_types import Err
from nova_guest import _failures
from wit_world import exports

types = nova._imported("nova_rpc_types", "types")

_ENDPOINTS = [
    types.Endpoint(namespace, version, list(methods)) for (namespace, version, *_), methods in nova._offer(app).items()
]


class Handler(exports.Handler):
    def describe(self):
        return _ENDPOINTS

    def handle(self, request):
        try:
            return nova._run(request)
        except nova.Panic:
            raise
        except nova.Declined:
            nova._info.decline()
            return "null"
        except BaseException as error:
            raise Err(types.Failure(**_failures.failure(error))) from None
