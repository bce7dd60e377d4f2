"""oslo.messaging's own tracing, switched on where a test asks for it: `OSLO_TRACING` is `NAME@ENDPOINT`, the service's name and
the collector of traces."""

import os


def switch_on(conf):
    """Sets oslo's options as a configuration file would."""
    if "OSLO_TRACING" not in os.environ:
        return
    # oslo.messaging 18.3 reads this module by its package's name, and expects somebody to have imported it.
    import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401

    name, endpoint = os.environ["OSLO_TRACING"].split("@", 1)
    options = {"tracing_enabled": True, "tracing_service_name": name, "otel_exporter_otlp_endpoint": endpoint}
    for option, value in options.items():
        conf.set_override(option, value, group="oslo_messaging_tracing")
