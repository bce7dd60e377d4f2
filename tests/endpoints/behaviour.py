"""The same calls on oslo's packages and on those that stand in for them in a sandbox, and what comes of each.

    behaviour.py ours|theirs

Prints a line for each: its name and its result, or its exception. The story compares the two.
"""

import datetime
import decimal
import io
import ipaddress
import json
import logging
import os
import re
import sys
import types
import uuid

#: What the manifest has in its `[config]`, for ours; a configuration file, for theirs.
GIVEN = {
    "workers": "3", "debug": "yes", "ratio": "1.5", "hosts": "a, b ,c", "conductor.workers": "7", "mode": "Fast",
    "limits": "cpu:2, ram : 3", "conductor.old_name": "renamed", "bad": "seven", "conductor.port": "99999", "multi": "x",
}


def module(name, **content):
    """A module that the component's bindings would be."""
    made = types.ModuleType(name)
    vars(made).update(content)
    sys.modules[name] = made
    return made


def ours():
    """Has the stand-ins imported, over bindings that do nothing."""
    level = types.SimpleNamespace(TRACE=0, DEBUG=1, INFO=2, WARN=3, ERROR=4)
    log = module("wit_world.imports.log", Level=level, write=lambda *line: None)
    info = module("wit_world.imports.request_info", context=lambda: "{}")
    config = module("wit_world.imports.config", get=GIVEN.get, get_all=lambda: list(GIVEN.items()))
    module("wit_world.imports", log=log, request_info=info, config=config)
    module("wit_world")
    module("componentize_py_types", Err=type("Err", (Exception,), {}))
    sdk = os.path.join(os.path.dirname(__file__), "../../guest-sdk/python")
    sys.path[:0] = [sdk, os.path.join(sdk, "oslo")]


OURS = sys.argv[1] == "ours"
if OURS:
    ours()

import oslo_messaging as messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_context import context  # noqa: E402
from oslo_log import log as oslo_log  # noqa: E402
from oslo_messaging._utils import version_is_compatible  # noqa: E402
from oslo_serialization import jsonutils  # noqa: E402
from oslo_utils import encodeutils, excutils, importutils, strutils, timeutils, uuidutils  # noqa: E402

logging.getLogger().handlers[:] = [logging.NullHandler()]


def tell(name, run):
    """Prints what comes of a call."""
    try:
        result = repr(run())
    except Exception as error:
        # Import errors have their own words, and may have a traceback in them.
        result = type(error).__name__ if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    print(name, "→", re.sub("0x[0-9a-f]+", "0x", result).replace("\n", "\\n"))


def versions():
    for one in ("1.0", "1.1", "1.2.3", "1.2", "2.0", None, "1", "x.y", "01.2"):
        for other in ("1.0", "1.1", "1.2.2", "1.2.4", "2.1", None):
            tell(f"version_is_compatible({one!r}, {other!r})", lambda: version_is_compatible(one, other))


def targets():
    made = messaging.Target(exchange="e", topic="t", namespace="n", version="1.2", legacy_namespaces=[None, "old"])
    tell("target", lambda: (made, made.accepted_namespaces, made.fanout))
    copy = made(server="s", fanout=True)
    tell("copy", lambda: (copy, copy.accepted_namespaces, copy == made, made == made(), made != copy))
    tell("empty", lambda: (messaging.Target(), messaging.Target().accepted_namespaces))
    tell("unknown", lambda: messaging.Target(nothing=1))
    tell("no hash", lambda: len({made, made}))


class Thing:
    """An object with attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Items:
    """An object with items."""

    def items(self):
        return [("a", 1)]


def primitives():
    deep = Thing(a=Thing(b=Thing(c=Thing(d=Thing(e=Thing(f=1))))))
    loop = Thing()
    loop.loop = loop
    values = {
        "numbers": [1, 1.5, True, None, 2**70], "text": "ü", "bytes": b"\xc3\xbc", "bad bytes": b"\xff", "set": {1},
        "tuple": (1, (2,)), "dict": {1: {"a": (1,)}, None: 2}, "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        "zoned": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "date": datetime.date(2026, 1, 2), "uuid": uuid.UUID(int=5), "decimal": decimal.Decimal("1.10"),
        "address": ipaddress.ip_address("::1"), "network": ipaddress.ip_network("10.0.0.0/30"), "error": ValueError("no", 1),
        "thing": Thing(a=1, b=[Thing(c=2)]), "items": Items(), "deep": deep, "loop": loop, "class": Thing, "function": len,
        "range": range(3), "generator": (one for one in [1]), "keys": {"a": 1}.keys(), "delta": datetime.timedelta(1),
        "in a list": [datetime.datetime(2026, 1, 1), uuid.UUID(int=1), {"x": b"y"}], "complex": 1j,
        "bytearray": bytearray(b"ab"), "exception class": ValueError, "nan": float("nan"),
    }
    for name, value in values.items():
        tell(f"to_primitive({name})", lambda: jsonutils.to_primitive(value))
        tell(f"to_primitive({name}, instances)", lambda: jsonutils.to_primitive(value, convert_instances=True))
        tell(f"dumps({name})", lambda: jsonutils.dumps(value))
    tell("no times", lambda: jsonutils.to_primitive([datetime.datetime(2026, 1, 1)], convert_datetime=False))
    tell("fallback", lambda: jsonutils.to_primitive(1j, fallback=lambda value: "else"))
    tell("depth", lambda: jsonutils.to_primitive(deep, convert_instances=True, max_depth=1))
    tell("dumps", lambda: jsonutils.dumps({"b": 1, "a": "ü"}, sort_keys=True, indent=1))
    tell("dump_as_bytes", lambda: jsonutils.dump_as_bytes({"a": "ü"}))
    tell("loads", lambda: (jsonutils.loads('{"a": 1}'), jsonutils.loads(b'"\xc3\xbc"'), jsonutils.load(io.BytesIO(b"[1]"))))
    tell("loads nothing", lambda: jsonutils.loads(""))
    out = io.StringIO()
    tell("dump", lambda: (jsonutils.dump({"a": datetime.date(2026, 1, 1)}, out), out.getvalue()))


def times():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    at, other = datetime.datetime(2026, 1, 2, 3, 4, 5, 600), datetime.datetime(2026, 1, 3, 3, 4, 5)
    for text in (
        "2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.5+02:00", "2026-01-02", "yesterday", "",
        "2026-01-02 03:04:05",
    ):
        tell(f"parse_isotime({text!r})", lambda: timeutils.parse_isotime(text).isoformat())
    tell("parse_strtime", lambda: timeutils.parse_strtime("2026-01-02T03:04:05.000600"))
    tell("normalize_time", lambda: [timeutils.normalize_time(t) for t in (at, at.replace(tzinfo=zone))])
    tell("delta_seconds", lambda: timeutils.delta_seconds(at, other))
    tell("older", lambda: [timeutils.is_older_than(t, 60) for t in (at, "2020-01-01T00:00:00Z", other)])
    tell("newer", lambda: [timeutils.is_newer_than(t, 60) for t in (at, "2920-01-01T00:00:00Z", other)])
    tell("utcnow", lambda: [type(timeutils.utcnow()), timeutils.utcnow().tzinfo, timeutils.utcnow(True).utcoffset()])
    tell("utcnow_ts", lambda: [type(timeutils.utcnow_ts()), type(timeutils.utcnow_ts(microsecond=True))])
    tell("is_soon", lambda: timeutils.is_soon(at, 60))
    tell("marshall", lambda: timeutils.unmarshall_time(timeutils.marshall_now(at)))


def texts():
    for text in (
        "yes", "No", " true ", "1", "0", "maybe", "", None, True, 1, 2, "t", "off",
    ):
        tell(f"bool_from_string({text!r})", lambda: strutils.bool_from_string(text))
        tell(f"bool_from_string({text!r}, strict)", lambda: strutils.bool_from_string(text, strict=True, default=True))
        tell(f"is_valid_boolstr({text!r})", lambda: strutils.is_valid_boolstr(text))
    for text in (
        "{'password': 'abc', 'name': 'x'}", 'auth_token="abc" x=1', "<adminPass>abc</adminPass>", "password = abc def",
        "--password abc", "nothing", "{'new_pass': 'a', 'token': 'b'}", "'admin_password': u'abc'", '{"secret": "a b"}',
        "sys_pswd=abc, y", "X-Auth-Token: abc",
    ):
        tell(f"mask_password({text!r})", lambda: strutils.mask_password(text))
    secrets = {"password": "a", "inner": {"auth_token": "b", "x": "password=c"}, 3: 4, "n": None, "list": [1]}
    tell("mask_dict_password", lambda: strutils.mask_dict_password(secrets))
    for text in ("10GiB", "8kb", "1.5MB", "3", "10 GB", "7b", "1TiB", "1KB", "2kB"):
        for system in ("IEC", "SI", "mixed"):
            tell(f"string_to_bytes({text!r}, {system})", lambda: strutils.string_to_bytes(text, system, return_int=True))
    tell("to_slug", lambda: strutils.to_slug("Hello,  Wörld - x_y"))
    tell("int_from_bool_as_string", lambda: strutils.int_from_bool_as_string("yes"))
    tell("check_string_length", lambda: strutils.check_string_length("abc", "name", max_length=2))
    tell("validate_integer", lambda: [strutils.validate_integer("7", "n", 1, 9), strutils.validate_integer(3, "n")])
    tell("validate_integer, beyond", lambda: strutils.validate_integer("10", "n", 1, 9))
    tell("validate_integer, none", lambda: strutils.validate_integer("x", "n"))
    tell("is_int_like", lambda: [strutils.is_int_like(v) for v in ("7", 7, "7.0", None, "07")])
    tell("safe_decode", lambda: [encodeutils.safe_decode(v) for v in ("a", b"\xc3\xbc")])
    tell("safe_decode of none", lambda: encodeutils.safe_decode(None))
    tell("safe_encode", lambda: [encodeutils.safe_encode(v) for v in ("ü", b"a")])
    tell("safe_encode of none", lambda: encodeutils.safe_encode(7))
    tell("to_utf8", lambda: [encodeutils.to_utf8(v) for v in ("ü", b"a")])
    tell("exception_to_unicode", lambda: encodeutils.exception_to_unicode(ValueError("ü")))
    for text in (
        str(uuid.UUID(int=9)), uuid.UUID(int=9).hex, "urn:uuid:" + str(uuid.UUID(int=9)), "{%s}" % uuid.UUID(int=9), "x",
        None, 7, uuid.UUID(int=9), str(uuid.UUID(int=0xABC)).upper(),
    ):
        tell(f"is_uuid_like({text!r})", lambda: uuidutils.is_uuid_like(text))
    tell("generate_uuid", lambda: [len(uuidutils.generate_uuid()), len(uuidutils.generate_uuid(dashed=False))])


def imports():
    tell("import_module", lambda: importutils.import_module("json") is json)
    tell("import_class", lambda: importutils.import_class("decimal.Decimal"))
    tell("import_object", lambda: importutils.import_object("decimal.Decimal", "7"))
    tell("import_class, missing", lambda: importutils.import_class("decimal.Nothing"))
    tell("try_import", lambda: importutils.try_import("no_such_module", 5))
    tell("import_any", lambda: importutils.import_any("no_such_module", "json") is json)
    tell("import_any, none", lambda: importutils.import_any("no_such_module", "nor_this"))


def exceptions():
    def saved(reraise):
        try:
            raise KeyError("first")
        except KeyError:
            with excutils.save_and_reraise_exception(reraise=reraise) as context:
                context.seen = True
        return "went on"

    def changed():
        try:
            raise KeyError("first")
        except KeyError:
            with excutils.save_and_reraise_exception() as context:
                context.reraise = False
        return "went on"

    def dropped():
        try:
            raise KeyError("first")
        except KeyError:
            with excutils.save_and_reraise_exception():
                raise ValueError("second")

    tell("save_and_reraise", lambda: saved(True))
    tell("save_and_do_not", lambda: saved(False))
    tell("save and change", changed)
    tell("save and drop", dropped)
    tell("save outside", lambda: excutils.save_and_reraise_exception().force_reraise())

    @excutils.exception_filter
    def missing(error):
        return isinstance(error, KeyError)

    def ignored(error):
        with missing:
            raise error
        return "ignored"

    tell("exception_filter", lambda: ignored(KeyError(1)))
    tell("exception_filter, another", lambda: ignored(ValueError(1)))


def contexts():
    names = dict(
        auth_token="t", user_id="u", project_id="p", domain_id="d", user_domain_id="ud", project_domain_id="pd",
        is_admin=True, roles=["r"], request_id="req-1", global_request_id="req-2", resource_uuid="ru", user_name="un",
        project_name="pn", read_only=True, show_deleted=True, system_scope="all", service_token="st", service_user_id="su",
        service_roles=["sr"], service_project_id="sp",
    )

    def shown(made):
        return [sorted(made.to_dict().items()), sorted(made.get_logging_values().items())]

    tell("context", lambda: shown(context.RequestContext(**names)))
    tell("context, empty", lambda: shown(context.RequestContext(request_id="r")))
    tell("there and back", lambda: shown(context.RequestContext.from_dict(context.RequestContext(**names).to_dict())))
    older = {"user": "u", "tenant": "p", "domain": "d", "user_domain": "ud", "project_domain": "pd", "request_id": "r"}
    tell("older names", lambda: shown(context.RequestContext.from_dict(older)))
    tell("from_dict and more", lambda: shown(context.RequestContext.from_dict({"request_id": "r"}, user_id="x")))
    tell("from_dict, unknown", lambda: shown(context.RequestContext.from_dict({"request_id": "r", "nothing": 1})))
    policy = lambda made: sorted(dict(made.to_policy_values()).items())  # noqa: E731
    tell("policy", lambda: policy(context.RequestContext(**names)))
    tell("current", lambda: context.get_current().request_id)
    tell("admin", lambda: [context.get_admin_context().is_admin, context.get_admin_context().project_id])
    tell("id", lambda: [context.generate_request_id()[:4], len(context.generate_request_id())])
    tell("older arguments", lambda: shown(context.RequestContext(user="u", tenant="p", request_id="r")))

    class Own(context.RequestContext):
        FROM_DICT_EXTRA_KEYS = ["more"]

        def __init__(self, more=None, **kwargs):
            super().__init__(**kwargs)
            self.more = more

        def to_dict(self):
            return super().to_dict() | {"more": self.more}

    tell("own", lambda: shown(Own.from_dict({"request_id": "r", "more": 5, "user_id": "u"})))


def options():
    conf = cfg.ConfigOpts()
    if OURS:
        conf([])
    else:
        import tempfile

        groups = {}
        for name, value in GIVEN.items():
            group, _, name = name.rpartition(".")
            groups.setdefault(group or "DEFAULT", []).append(f"{name} = {value}")
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("\n".join("\n".join([f"[{group}]", *lines]) for group, lines in groups.items()))
            file.flush()
            conf([], default_config_files=[file.name])
    conf.register_opts([
        cfg.IntOpt("workers", default=1, min=1), cfg.BoolOpt("debug", default=False), cfg.FloatOpt("ratio"),
        cfg.ListOpt("hosts", default=[]), cfg.DictOpt("limits"), cfg.StrOpt("mode", choices=["fast", "slow"], ignore_case=True),
        cfg.StrOpt("missing"), cfg.StrOpt("absent-one", default="there"), cfg.StrOpt("must", required=True),
        cfg.IntOpt("bad"), cfg.MultiStrOpt("multi"), cfg.ListOpt("none", item_type=cfg.types.Integer() if not OURS else int),
        cfg.PortOpt("listen", default=5672), cfg.HostAddressOpt("host", default="localhost"),
    ])
    group = cfg.OptGroup(name="conductor", title="Conductor")
    conf.register_group(group)
    conf.register_opts([
        cfg.IntOpt("workers"), cfg.StrOpt("new_name", deprecated_name="old_name"), cfg.PortOpt("port"),
        cfg.StrOpt("mode", default="calm"),
    ], group=group)
    conf.register_opt(cfg.StrOpt("elsewhere", deprecated_group="DEFAULT", deprecated_name="mode"), group="other")
    for name in (
        "workers", "debug", "ratio", "hosts", "limits", "mode", "missing", "absent_one", "multi", "none", "listen", "host",
    ):
        tell(f"conf.{name}", lambda: getattr(conf, name))
    for name in ("workers", "new_name", "mode"):
        tell(f"conf.conductor.{name}", lambda: (getattr(conf.conductor, name), conf.conductor[name]))
    tell("conf.other.elsewhere", lambda: conf.other.elsewhere)
    kind = lambda run: lambda: failed(run)  # noqa: E731
    tell("required", kind(lambda: conf.must or 1 / 0) if OURS else kind(lambda: conf._check_required_opts()))
    tell("no such", kind(lambda: conf.nothing))
    tell("no such in a group", kind(lambda: conf.conductor.nothing))
    tell("no number", kind(lambda: conf.bad))
    tell("no port", kind(lambda: conf.conductor.port))
    tell("contains", lambda: ["workers" in conf, "nothing" in conf, "conductor" in conf, "port" in conf.conductor])
    tell("again", lambda: conf.register_opt(cfg.FloatOpt("ratio")))
    tell("another", kind(lambda: conf.register_opt(cfg.FloatOpt("ratio", default=2))))
    conf.set_override("workers", 9)
    conf.set_override("mode", "x", group="conductor")
    conf.set_default("missing", "found")
    conf.set_default("debug", False)
    tell("changed", lambda: [conf.workers, conf.conductor.mode, conf.missing, conf.debug])
    conf.clear_override("workers")
    tell("changed back", lambda: conf.workers)
    tell("get", lambda: [conf.get("workers"), conf.conductor.get("workers")])
    tell("names", lambda: sorted(set(conf) - {"config_file", "config_dir", "config_source", "shell_completion"}))
    tell("import_opt", kind(lambda: conf.import_opt("nothing", "json")))
    tell("opt", lambda: [cfg.StrOpt("a-b").dest, cfg.StrOpt("a", dest="c").dest, cfg.StrOpt("a", default=1).default])


def failed(run):
    """The class of an exception, and of what it is."""
    try:
        return run()
    except Exception as error:
        return [base.__name__ for base in type(error).__mro__]


def dispatching():
    class Endpoint:
        target = messaging.Target(version="1.1")
        attribute = 5

        @messaging.expected_exceptions(ValueError, KeyError)
        def expected(self, ctxt, kind):
            """Words."""
            raise kind("inside")

        @messaging.expose
        def exposed(self, ctxt):
            return 1

        def plain(self, ctxt):
            return 2

        def _private(self, ctxt):
            return 3

    endpoint = Endpoint()

    def held(kind):
        try:
            endpoint.expected({}, kind=kind)
        except messaging.ExpectedException as error:
            return [error.exc_info[0], str(error.exc_info[1]), type(error.exc_info[2]).__name__]

    tell("expected", lambda: [held(ValueError), held(KeyError)])
    tell("not expected", lambda: held(TypeError))
    for policy in (
        messaging.DefaultRPCAccessPolicy, messaging.LegacyRPCAccessPolicy, messaging.ExplicitRPCAccessPolicy,
    ):
        names = ("plain", "exposed", "_private")
        tell(policy.__name__, lambda: [policy().is_allowed(endpoint, name) for name in names])
    tell("no such method", lambda: str(messaging.NoSuchMethod("m")))
    tell("no such version", lambda: [str(messaging.UnsupportedVersion(*args)) for args in (("1.2",), ("1.2", "m"))])
    tell("kinds", lambda: [
        [base.__name__ for base in kind.__mro__]
        for kind in (
            messaging.NoSuchMethod, messaging.UnsupportedVersion, messaging.RemoteError, messaging.MessagingTimeout,
            messaging.InvalidTarget, messaging.RPCVersionCapError, messaging.ClientSendError,
            messaging.MessageDeliveryFailure, messaging.MessageUndeliverable, messaging.ExpectedException,
        )
    ])
    tell("words", lambda: [
        str(messaging.RemoteError("X", "y", ["z"])), str(messaging.RPCVersionCapError("1.2", "1.1")),
        str(messaging.InvalidTarget("no", messaging.Target(topic="t"))),
        str(messaging.ClientSendError(messaging.Target(topic="t"), ValueError("no"))),
    ])
    serializer = messaging.JsonPayloadSerializer()
    tell("serializer", lambda: serializer.serialize_entity({}, {"t": datetime.date(2026, 1, 1), "o": Thing(a=1)}))
    tell("no serializer", lambda: messaging.NoOpSerializer().deserialize_context({"a": 1}))
    tell("abstract", lambda: failed(lambda: messaging.Serializer()))


def clients():
    target = messaging.Target(topic="t", namespace="n", version="1.4")
    if OURS:
        transport = messaging.get_rpc_transport(cfg.ConfigOpts())
    else:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        transport = messaging.get_rpc_transport(conf, url="fake://")
    client = messaging.get_rpc_client(transport, target, version_cap="1.6", timeout=5)
    tell("client", lambda: [client.can_send_version(v) for v in ("1.0", "1.6", "1.7", "2.0", None)])
    tell("client's own", lambda: [client.can_send_version(), client.target, client.timeout, client.version_cap])
    prepared = client.prepare(server="s", version="1.7", timeout=9)
    tell("prepared", lambda: [prepared.target, prepared.timeout, prepared.version_cap, prepared.can_send_version()])
    tell("prepared again", lambda: failed(lambda: prepared.prepare(version="2")))
    tell("beyond the cap", lambda: prepared.call({}, "m"))
    tell("beyond the cap, cast", lambda: prepared.cast({}, "m"))
    tell("fanout", lambda: failed(lambda: client.prepare(fanout=True).call({}, "m")))


def loggers():
    log = oslo_log.getLogger("some.name", version="x")
    tell("logger", lambda: [log.logger.name, log.isEnabledFor(logging.ERROR), log.warn is not None])
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            # Theirs has its formatter say what it is about.
            message = record.getMessage().removeprefix("[instance: u] ").removeprefix("[vm-3] ")
            lines.append((record.levelname, message, bool(record.exc_info)))

    log.logger.addHandler(Lines())
    log.logger.setLevel(oslo_log.DEBUG)
    log.info("plain %s", 1)
    log.warning("with %(name)s", {"name": "names"}, instance={"uuid": "u"})
    log.error("of %s", "it", resource={"type": "vm", "id": "3"})
    try:
        raise ValueError
    except ValueError:
        log.exception("with traceback")
    tell("lines", lambda: lines)
    tell("levels", lambda: [oslo_log.DEBUG, oslo_log.CRITICAL, oslo_log.WARN, oslo_log.TRACE])


for behaviours in (
    versions, targets, primitives, times, texts, imports, exceptions, contexts, options, dispatching, clients, loggers,
):
    behaviours()
