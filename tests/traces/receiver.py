"""A collector of traces: OTLP over HTTP/protobuf, read with the classes that opentelemetry-proto has generated.

    receiver.py

Prints the port that it listens on, and then one JSON object a line for each span that it takes. A line that comes in says what
it does from then on: `take` (at first), `refuse` (500), `busy` (503), `garbage` (no answer of OTLP's), `slow` (no answer at
all), `hang up`. It ends with its input.
"""

import http.server
import json
import os
import sys
import threading
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

OUTPUT = threading.Lock()
PATH = "/v1/traces"
behaviour = "take"


def value_of(any_value):
    """What an attribute is."""
    kind = any_value.WhichOneof("value")
    return getattr(any_value, kind) if kind else None


def attributes_of(pairs):
    return {pair.key: value_of(pair.value) for pair in pairs}


def described(resource, scope, span):
    """Everything that a test wants to know about a span."""
    return {
        "resource": attributes_of(resource.attributes),
        "scope": scope.name,
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "state": span.trace_state,
        "name": span.name,
        "kind": span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": attributes_of(span.attributes),
        "events": [{"name": event.name, "attributes": attributes_of(event.attributes)} for event in span.events],
        "links": [{"trace": link.trace_id.hex(), "span": link.span_id.hex()} for link in span.links],
        "error": span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
    }


class Collector(http.server.BaseHTTPRequestHandler):
    """Answers as it is told."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if behaviour == "slow":
            time.sleep(3600)
        if behaviour == "hang up":
            self.close_connection = True
            return
        if behaviour in ("refuse", "busy"):
            self.answer({"refuse": 500, "busy": 503}[behaviour], b"no")
        elif behaviour == "garbage":
            self.answer(200, b"\xff\xff\xff <html>")
        elif self.path != PATH or self.headers["content-type"] != "application/x-protobuf":
            self.answer(404, b"")
        else:
            self.take(ExportTraceServiceRequest.FromString(body))
            self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def take(self, export):
        for resource_spans in export.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    line = json.dumps(described(resource_spans.resource, scope_spans.scope, span))
                    with OUTPUT:
                        print(line, flush=True)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def main():
    global behaviour
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        behaviour = line.strip()
        with OUTPUT:
            print(json.dumps({"behaviour": behaviour}), flush=True)
    # A client that is not answered must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
