"""Endpoint classes as oslo.messaging's server has them: their public methods become methods of the handler.

    from nova.endpoints import serve
    from conductor import ConductorManager

    serve([ConductorManager()])

Before it: `app` names the objects. After it: the table of methods in `nova`, as if each were decorated with `nova.method`. An
endpoint has an attribute `target` with its namespace and version, or none, which is the null namespace and version 1.0. Its
methods take the caller's context first, a dict, and then the arguments by their names.
"""

import functools

import nova_guest as nova
from nova_guest import _primitive

__all__ = ["serve"]


class _Plain:
    """The serializer where there is no other."""

    def serialize_entity(self, ctxt, entity):
        return entity

    def deserialize_entity(self, ctxt, entity):
        return entity

    def deserialize_context(self, ctxt):
        return ctxt


class _Public:
    """The access policy where there is no other."""

    def is_allowed(self, endpoint, method):
        return not method.startswith("_")


def serve(endpoints, *, serializer=None, access_policy=None) -> None:
    """Serves objects, in this order: of those that have a method in a version that fits, the first answers.

    `serializer` turns arguments, results and the context into what the methods take and back, as oslo.messaging's do.
    `access_policy` is a class like `oslo_messaging.ExplicitRPCAccessPolicy`; without one, what begins with `_` is not served.
    """
    serializer = _Plain() if serializer is None else serializer
    policy = (_Public if access_policy is None else access_policy)()
    #: (namespace, method) → versions and functions, in the order of the objects.
    offered = {}
    for endpoint in endpoints:
        if isinstance(endpoint, type):
            raise TypeError(f"{endpoint.__name__} is a class: endpoints are objects, such as {endpoint.__name__}()")
        methods = _methods(endpoint, policy, serializer)
        if not methods:
            raise ValueError(f"{type(endpoint).__name__} has no method that may be served")
        target = getattr(endpoint, "target", None)
        version = getattr(target, "version", None) or "1.0"
        for namespace in getattr(target, "accepted_namespaces", [getattr(target, "namespace", None)]):
            own = {}
            for name, function in methods.items():
                those = offered.setdefault((namespace, name), [])
                # The host takes a method once for a version.
                if version not in [other for other, _ in those]:
                    own[name] = _first(those)
                those.append((version, function))
            if own:
                # An entry of its own, whatever else has its namespace and version.
                nova._endpoints[namespace, version, len(nova._endpoints)] = own


def _first(those):
    """Runs the first of some functions whose version fits, as oslo.messaging does. The host has chosen the highest."""

    def serve(**arguments):
        asked = _numbers(nova._request.version)
        fits = [function for version, function in those if _numbers(version)[0] == asked[0] and _numbers(version) >= asked]
        return fits[0](**arguments)

    serve.default = _primitive.to_primitive
    return serve


def _numbers(version):
    return tuple([int(number) for number in version.split(".")])


def _methods(endpoint, policy, serializer):
    methods = {}
    for name in dir(endpoint):
        if name == "target" or name.startswith("__") or not policy.is_allowed(endpoint, name):
            continue
        method = getattr(endpoint, name, None)
        if callable(method) and not isinstance(method, type):
            methods[name] = _served(method, serializer)
    return methods


def _served(method, serializer):
    @functools.wraps(method)
    def serve(**arguments):
        ctxt = serializer.deserialize_context(nova.context())
        arguments = {name: serializer.deserialize_entity(ctxt, argument) for name, argument in arguments.items()}
        try:
            result = method(ctxt, **arguments)
        except Exception as error:
            expected = _expected(error)
            if expected is None:
                raise
            raise expected from None
        return serializer.serialize_entity(ctxt, result)

    return serve


def _expected(error):
    """What an `ExpectedException` holds, which is what the method raised."""
    held = getattr(error, "exc_info", None)
    if type(error).__name__ != "ExpectedException" or not isinstance(held, tuple) or len(held) != 3:
        return None
    return held[1] if isinstance(held[1], BaseException) else None
