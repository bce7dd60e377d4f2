"""Glance and neutron, as far as booting and deleting a server without a network asks them.

    python stubs.py GLANCE_PORT NEUTRON_PORT
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Any id: boots.py names it.
IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"
IMAGE = {
    "id": IMAGE_ID, "name": "an image", "status": "active", "visibility": "public", "size": 1, "min_disk": 0, "min_ram": 0,
    "container_format": "bare", "disk_format": "raw", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    "owner": "admin", "checksum": "x", "protected": False, "file": "/v2/images/x/file", "tags": [], "schema": "/v2/schemas/image"}
LISTS = ("networks", "ports", "security-groups", "subnets", "extensions", "floatingips", "routers", "quotas")


def versions(number, port, path):
    link = {"rel": "self", "href": f"http://127.0.0.1:{port}{path}"}
    return {"versions": [{"id": number, "status": "CURRENT", "links": [link]}]}


def glance(path, port):
    if path == "/":
        return versions("v2.9", port, "/v2/")
    if path.startswith("/v2/schemas"):
        return {"name": "image", "properties": {name: {} for name in IMAGE}, "additionalProperties": {"type": "string"}}
    if path.startswith("/v2/images"):
        return IMAGE if path != "/v2/images" else {"images": [IMAGE]}
    return None


def neutron(path, port):
    if path == "/":
        return versions("v2.0", port, "/v2.0/")
    name = path.rstrip("/").rsplit("/", 1)[-1]
    return {name.replace("-", "_"): []} if name in LISTS else None


class Stub(BaseHTTPRequestHandler):
    answer = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(self.answer(self.path.split("?")[0], self.server.server_port) if self.command == "GET" else None)

    do_POST = do_PUT = do_DELETE = do_GET

    def reply(self, value):
        if value is None:
            print("not stubbed:", self.command, self.server.server_port, self.path, flush=True)
        body = json.dumps(value or {}).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    for port, answer in zip(map(int, sys.argv[1:]), (glance, neutron)):
        stub = type(answer.__name__, (Stub,), {"answer": staticmethod(answer)})
        threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), stub).serve_forever).start()
