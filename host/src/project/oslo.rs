//! What a project in Python finds under the names of oslo's packages, unless it brings its own.
//!
//! Before it: `guest-sdk/python/oslo/`. After it: [`super::python`] writes them beside the project, where endpoint classes import them.

/// Their files, by their names under `guest-sdk/python/`.
pub(super) const PACKAGES: [(&str, &str); 29] = [
    ("oslo/oslo_config/__init__.py", include_str!("../../../guest-sdk/python/oslo/oslo_config/__init__.py")),
    ("oslo/oslo_config/cfg.py", include_str!("../../../guest-sdk/python/oslo/oslo_config/cfg.py")),
    ("oslo/oslo_config/types.py", include_str!("../../../guest-sdk/python/oslo/oslo_config/types.py")),
    ("oslo/oslo_context/__init__.py", include_str!("../../../guest-sdk/python/oslo/oslo_context/__init__.py")),
    ("oslo/oslo_context/context.py", include_str!("../../../guest-sdk/python/oslo/oslo_context/context.py")),
    ("oslo/oslo_log/__init__.py", include_str!("../../../guest-sdk/python/oslo/oslo_log/__init__.py")),
    ("oslo/oslo_log/log.py", include_str!("../../../guest-sdk/python/oslo/oslo_log/log.py")),
    ("oslo/oslo_messaging/__init__.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/__init__.py")),
    ("oslo/oslo_messaging/_remote.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/_remote.py")),
    ("oslo/oslo_messaging/_utils.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/_utils.py")),
    ("oslo/oslo_messaging/exceptions.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/exceptions.py")),
    (
        "oslo/oslo_messaging/rpc/__init__.py",
        include_str!("../../../guest-sdk/python/oslo/oslo_messaging/rpc/__init__.py"),
    ),
    ("oslo/oslo_messaging/rpc/client.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/rpc/client.py")),
    (
        "oslo/oslo_messaging/rpc/dispatcher.py",
        include_str!("../../../guest-sdk/python/oslo/oslo_messaging/rpc/dispatcher.py"),
    ),
    ("oslo/oslo_messaging/rpc/server.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/rpc/server.py")),
    (
        "oslo/oslo_messaging/rpc/transport.py",
        include_str!("../../../guest-sdk/python/oslo/oslo_messaging/rpc/transport.py"),
    ),
    ("oslo/oslo_messaging/serializer.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/serializer.py")),
    ("oslo/oslo_messaging/server.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/server.py")),
    ("oslo/oslo_messaging/target.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/target.py")),
    ("oslo/oslo_messaging/transport.py", include_str!("../../../guest-sdk/python/oslo/oslo_messaging/transport.py")),
    (
        "oslo/oslo_serialization/__init__.py",
        include_str!("../../../guest-sdk/python/oslo/oslo_serialization/__init__.py"),
    ),
    (
        "oslo/oslo_serialization/jsonutils.py",
        include_str!("../../../guest-sdk/python/oslo/oslo_serialization/jsonutils.py"),
    ),
    ("oslo/oslo_utils/__init__.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/__init__.py")),
    ("oslo/oslo_utils/encodeutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/encodeutils.py")),
    ("oslo/oslo_utils/excutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/excutils.py")),
    ("oslo/oslo_utils/importutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/importutils.py")),
    ("oslo/oslo_utils/strutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/strutils.py")),
    ("oslo/oslo_utils/timeutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/timeutils.py")),
    ("oslo/oslo_utils/uuidutils.py", include_str!("../../../guest-sdk/python/oslo/oslo_utils/uuidutils.py")),
];
