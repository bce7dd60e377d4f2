"""The cloud's RabbitMQ, run by tests/broker.sh, and its management API: queues, exchanges, bindings."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from parts import Failed
from place import ROOT


class Broker:
    """A running broker. It ends with this process, however that ends: the script reads our pipe."""

    def __init__(self, logs):
        self.logs = logs
        self.script = subprocess.Popen(
            [ROOT / "tests/broker.sh"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            stderr=open(logs / "broker.log", "a"), env=dict(os.environ, TEST_RABBITMQ=os.environ.get("TEST_RABBITMQ", "3.10")))

    def wait_until_ready(self):
        line = self.script.stdout.readline()
        if not line.startswith("ready "):
            raise Failed(f"no broker; run tests/setup.sh --cloud; see {self.logs}/broker.log")
        fields = dict(word.split("=", 1) for word in line.split()[1:])
        self.release, self.url, self.pid = fields["release"], fields["url"], int(fields["pid"])
        self.port, self.management = int(fields["amqp_port"]), int(fields["management_port"])

    def command(self, line):
        """Says a line to tests/broker.sh, and returns its answer."""
        self.script.stdin.write(line + "\n")
        self.script.stdin.flush()
        return self.script.stdout.readline().strip()

    def api(self, method, *path, body=None):
        """Asks the management API about a path of names; `None` where there is no such thing."""
        path = "/".join(urllib.parse.quote(name, safe="") for name in path)
        request = urllib.request.Request(f"http://127.0.0.1:{self.management}/api/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        request.add_header("content-type", "application/json")
        try:
            answer = urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Failed(f"{method} {path}: {error.read().decode()}") from error
        return json.loads(answer) if answer else {}

    def queue(self, name):
        return self.api("GET", "queues", "/", name) or {}

    def queues(self):
        return self.api("GET", "queues", "/")

    def consumers(self, queue):
        """How many take from a queue; 0 where there is none. As fresh as statistics are: a fifth of a second old."""
        return self.queue(queue).get("consumers", 0)

    def declare_topic_exchange(self, name):
        """An exchange as oslo.messaging declares it when nothing is configured."""
        self.api("PUT", "exchanges", "/", name, body={"type": "topic", "durable": False, "auto_delete": False})

    def declare_queue(self, name):
        """A queue as oslo.messaging declares it when nothing is configured."""
        self.api("PUT", "queues", "/", name, body={"durable": False, "auto_delete": False})

    def bind(self, source, destination, key, to="q"):
        """Binds a queue, or with `to="e"` an exchange, to an exchange."""
        self.api("POST", "bindings", "/", "e", source, to, destination, body={"routing_key": key})

    def unbind(self, source, destination, key, to="q"):
        """Removes a binding; none is no error. What has no arguments is known by its key."""
        self.api("DELETE", "bindings", "/", "e", source, to, destination, key)

    def bindings(self, source):
        """The bindings of an exchange: destination and key, sorted."""
        found = self.api("GET", "exchanges", "/", source, "bindings", "source") or []
        return sorted((binding["destination"], binding["routing_key"]) for binding in found)

    def end(self):
        if self.script.poll() is None:
            try:
                self.command(f"logs {self.logs / 'rabbitmq'}")
            except OSError:
                pass
        self.script.terminate()
        self.script.wait()
