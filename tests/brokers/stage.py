"""What a provocation works with: a broker, a virtual host of its own, connections to it; and the list of all provocations."""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.error
import urllib.request

from wire import Connection

HERE = pathlib.Path(__file__).resolve().parent

# Title, configuration, nodes, versions, and the function that provokes, of each.
PROVOCATIONS = []


class Broker:
    """One broker or cluster, and its management API."""

    def __init__(self, version, configuration="", nodes=1):
        self.version, self.number = version, 0
        self.file = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.file.write(configuration)
        self.file.flush()
        self.script = subprocess.Popen(
            [HERE.parent / "broker.sh", "--nodes", str(nodes), "--configuration", self.file.name], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, TEST_RABBITMQ=version))
        fields = dict(word.split("=", 1) for word in self.script.stdout.readline().split()[1:])
        self.release = fields["release"]
        self.ports, self.management, self.pids = (
            [int(number) for number in fields[name].split(",")] for name in ("amqp_port", "management_port", "pid"))
        self.port = self.ports[0]
        # How often a channel looks at consumer_timeout, else each minute. There is no line of configuration for it.
        self.command("ctl eval application:set_env(rabbit,channel_tick_interval,1000).")

    def command(self, line):
        self.script.stdin.write(line + "\n")
        self.script.stdin.flush()
        answer = self.script.stdout.readline()
        if "pid=" in answer:
            self.pids = [int(pid) for pid in answer.split("pid=")[1].split()[0].split(",")]
        return answer

    def api(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.management[0]}/api/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        request.add_header("content-type", "application/json")
        try:
            answer = urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()}") from error
        return json.loads(answer) if answer else None

    def vhost(self):
        self.number += 1
        self.api("PUT", f"vhosts/v{self.number}")
        return f"v{self.number}"

    def user(self, vhost, configure=".*", write=".*", read=".*", name="nova"):
        """Makes a user with permissions, or without any where `configure` is None."""
        self.api("PUT", f"users/{name}", {"password": "secret", "tags": ""})
        if configure is not None:
            self.api("PUT", f"permissions/{vhost}/{name}", {"configure": configure, "write": write, "read": read})
        return name

    def end(self):
        self.script.terminate()
        self.script.wait()


class Scene:
    """What a provocation works with: a virtual host, and connections to it."""

    def __init__(self, broker):
        self.broker, self.vhost, self.connections = broker, broker.vhost(), []

    def connect(self, user="guest", password=None, vhost=None, port=None, **how):
        password = password or ("guest" if user == "guest" else "secret")
        connection = Connection(port or self.broker.port, user, password, vhost or self.vhost, **how)
        self.connections.append(connection)
        return connection

    def channel(self, *arguments, **how):
        return self.connect(*arguments, **how).open_channel()

    def as_user(self, *permissions, **how):
        return self.channel(self.broker.user(self.vhost, *permissions), **how)

    def end(self):
        for connection in self.connections:
            connection.close()


def provocation(title, setting="", nodes=1, versions=("3.10", "4.0", "4.3")):
    def register(function):
        PROVOCATIONS.append((title, setting, nodes, versions, function))
        return function
    return register
