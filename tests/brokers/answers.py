#!/usr/bin/env python3
"""Provokes what RabbitMQ may say, and prints what it says, as a table: a row for each provocation, its column by version.

    make answers                                        on every version; target/rabbitmq-answers.md
    target/venv/bin/python tests/brokers/answers.py [--only TEXT] VERSION…

Each provocation has a virtual host and a connection of its own. What a broker's configuration decides is set low, so that
a limit is met at once: messages of 1 MiB, acknowledgements within 10 s.
"""

import argparse
import base64
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from wire import Connection, expiration, headers, short, table, user_id

HERE = pathlib.Path(__file__).resolve().parent
PROVOCATIONS = []

COMMON = """
max_message_size = 1048576
consumer_timeout = 10000
"""


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


# Login and the virtual host.

@provocation("login: wrong password")
def _(s):
    return s.connect("guest", "wrong").told()


@provocation("login: method that the broker does not offer")
def _(s):
    import socket
    connection = Connection.__new__(Connection)
    connection.events, connection.buffer, connection.seen, connection.frame_max = [], b"", 0, 0
    connection.socket = socket.create_connection(("127.0.0.1", s.broker.port))
    connection.socket.sendall(b"AMQP\0\0\x09\x01")
    connection.wait("connection.start")
    connection.send(0, 10, 11, table({}) + short("EXTERNAL") + b"\0\0\0\0" + short("en_US"))
    return connection.told(3)


@provocation("open: virtual host does not exist")
def _(s):
    return s.connect(vhost="missing").told()


@provocation("open: user has no permission for the virtual host")
def _(s):
    return s.connect(s.broker.user(s.vhost, None, name="stranger")).told()


@provocation("open: virtual host's connection limit")
def _(s):
    s.broker.api("PUT", f"vhost-limits/{s.vhost}/max-connections", {"value": 1})
    s.connect()
    time.sleep(1)
    return s.connect().told()


@provocation("open: user's connection limit")
def _(s):
    user = s.broker.user(s.vhost, name="limited")
    s.broker.api("PUT", f"user-limits/{user}/max-connections", {"value": 1})
    s.connect(user)
    time.sleep(1)
    return s.connect(user).told()


@provocation("open: node's connection limit (`connection_max = 1`)", "connection_max = 1")
def _(s):
    s.connect()
    time.sleep(0.5)
    try:
        return s.connect().told()
    except Exception as error:
        return [f"no handshake: {error!r}"]


@provocation("open: virtual host is down")
def _(s):
    s.broker.command(f"ctl eval rabbit_vhost_sup_sup:stop_and_delete_vhost(<<\"{s.vhost}\">>).")
    time.sleep(1)
    return s.connect().told()


@provocation("virtual host deleted under a connection")
def _(s):
    c = s.channel().declare("q")
    s.broker.api("DELETE", f"vhosts/{s.vhost}")
    return c.told(3)


@provocation("connection closed by an administrator")
def _(s):
    c = s.channel()
    names = []
    while not names:
        names = [one["name"] for one in s.broker.api("GET", "connections") if one.get("vhost") == s.vhost]
    s.broker.api("DELETE", "connections/" + urllib.parse.quote(names[0], safe=""))
    return c.told(3)


@provocation("user deleted under a connection")
def _(s):
    c = s.channel(s.broker.user(s.vhost, name="leaver"))
    s.broker.api("DELETE", "users/leaver")
    return c.told(2)


@provocation("password changed under a connection")
def _(s):
    c = s.channel(s.broker.user(s.vhost, name="changer"))
    s.broker.api("PUT", "users/changer", {"password": "other", "tags": ""})
    return c.told(2)


# Permissions.

@provocation("queue.declare without configure permission")
def _(s):
    return s.as_user("^$").declare("q").told()


@provocation("exchange.declare without configure permission")
def _(s):
    return s.as_user("^$").declare_exchange("x").told()


@provocation("basic.publish without write permission for the exchange")
def _(s):
    s.channel().declare_exchange("x")
    return s.as_user(".*", "^$").confirm().publish("x", "k").told()


@provocation("basic.publish without write permission for the default exchange")
def _(s):
    s.channel().declare("q")
    return s.as_user(".*", "^q$").confirm().publish("", "q").told()


@provocation("basic.publish refused by a topic permission")
def _(s):
    s.channel().declare_exchange("x")
    user = s.broker.user(s.vhost, name="topical")
    s.broker.api("PUT", f"topic-permissions/{s.vhost}/{user}", {"exchange": "x", "write": "^a", "read": ".*"})
    return s.channel(user).confirm().publish("x", "k").told()


@provocation("basic.consume without read permission")
def _(s):
    s.channel().declare("q")
    return s.as_user(".*", ".*", "^$").consume("q").told()


@provocation("queue.bind without write permission for the queue")
def _(s):
    s.channel().declare("q").declare_exchange("x")
    return s.as_user(".*", "^x$").bind("q", "x").told()


@provocation("queue.bind without read permission for the exchange")
def _(s):
    s.channel().declare("q").declare_exchange("x")
    return s.as_user(".*", ".*", "^q$").bind("q", "x").told()


@provocation("queue.declare with a dead-letter exchange that one may not write to")
def _(s):
    return s.as_user(".*", "^q$").declare("q", {"x-dead-letter-exchange": "x"}).told()


@provocation("exchange.declare `amq.…`")
def _(s):
    return s.channel().declare_exchange("amq.mine").told()


@provocation("queue.declare `amq.…`")
def _(s):
    return s.channel().declare("amq.mine").told()


@provocation("exchange.declare of the default exchange")
def _(s):
    return s.channel().declare_exchange("").told()


@provocation("user-id is not the user")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", properties=user_id("other")).told()


# What is not there.

@provocation("basic.publish to an exchange that does not exist")
def _(s):
    return s.channel().confirm().publish("x", "k").told()


@provocation("basic.consume of a queue that does not exist")
def _(s):
    return s.channel().consume("q").told()


@provocation("queue.declare passive of a queue that does not exist")
def _(s):
    return s.channel().declare("q", passive=True).told()


@provocation("exchange.declare passive of an exchange that does not exist")
def _(s):
    return s.channel().declare_exchange("x", passive=True).told()


@provocation("queue.bind: no such exchange")
def _(s):
    return s.channel().declare("q").bind("q", "x").told()


@provocation("queue.bind: no such queue")
def _(s):
    return s.channel().declare_exchange("x").bind("q", "x").told()


@provocation("queue.delete, exchange.delete of what does not exist")
def _(s):
    return s.channel().delete("q").delete_exchange("x").told()


def on_a_node_that_stopped(s, act):
    c = s.channel(port=s.broker.ports[1]).declare("q")
    del c
    s.broker.command("stop 2")
    try:
        return act(s.channel()).told(3)
    finally:
        s.broker.command("start 2")


@provocation("basic.consume: the durable classic queue's node is down", nodes=3)
def _(s):
    return on_a_node_that_stopped(s, lambda c: c.consume("q"))


@provocation("queue.declare: the durable classic queue's node is down", nodes=3)
def _(s):
    return on_a_node_that_stopped(s, lambda c: c.declare("q"))


@provocation("basic.publish, mandatory, to a durable classic queue whose node is down", nodes=3)
def _(s):
    return on_a_node_that_stopped(s, lambda c: c.confirm().publish("", "q", bits=1))


@provocation("basic.publish, not mandatory, to a durable classic queue whose node is down", nodes=3)
def _(s):
    return on_a_node_that_stopped(s, lambda c: c.confirm().publish("", "q"))


# What is somebody's.

@provocation("queue.declare: exclusive queue of another connection")
def _(s):
    s.channel().declare("q", exclusive=True, durable=False)
    return s.channel().declare("q", exclusive=True, durable=False).told()


@provocation("basic.consume: exclusive queue of another connection")
def _(s):
    s.channel().declare("q", exclusive=True, durable=False)
    return s.channel().consume("q").told()


@provocation("basic.publish, mandatory, to another's exclusive queue")
def _(s):
    s.channel().declare("q", exclusive=True, durable=False)
    return s.channel().confirm().publish("", "q", bits=1).told()


@provocation("basic.consume: somebody consumes exclusively")
def _(s):
    s.channel().declare("q").consume("q", exclusive=True)
    return s.channel().consume("q").told()


@provocation("basic.consume: consumer tag is in use")
def _(s):
    return s.channel().declare("q").consume("q", "t").consume("q", "t").told()


# What does not fit.

@provocation("queue.declare: durable, is not")
def _(s):
    s.channel().declare("q", durable=False)
    return s.channel().declare("q").told()


@provocation("queue.declare: other type")
def _(s):
    s.channel().declare("q")
    return s.channel().declare("q", {"x-queue-type": "quorum"}).told()


@provocation("queue.declare: an argument more")
def _(s):
    s.channel().declare("q")
    return s.channel().declare("q", {"x-expires": 1000}).told()


@provocation("queue.declare: an argument less")
def _(s):
    s.channel().declare("q", {"x-expires": 100000})
    return s.channel().declare("q").told()


@provocation("queue.declare: another value")
def _(s):
    s.channel().declare("q", {"x-expires": 100000})
    return s.channel().declare("q", {"x-expires": 100001}).told()


@provocation("exchange.declare: other type")
def _(s):
    s.channel().declare_exchange("x")
    return s.channel().declare_exchange("x", "fanout").told()


@provocation("exchange.declare: durable, is not")
def _(s):
    s.channel().declare_exchange("x", durable=False)
    return s.channel().declare_exchange("x").told()


@provocation("queue.declare: argument of a wrong type")
def _(s):
    return s.channel().declare("q", {"x-expires": "soon"}).told()


@provocation("queue.declare: x-expires = 0")
def _(s):
    return s.channel().declare("q", {"x-expires": 0}).told()


@provocation("queue.declare: unknown queue type")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "fast"}).told()


@provocation("queue.declare: unknown argument of a classic queue")
def _(s):
    return s.channel().declare("q", {"x-made-up": 1}).told()


@provocation("queue.declare: quorum, x-max-priority")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum", "x-max-priority": 5}).told()


@provocation("queue.declare: quorum, x-queue-mode = lazy")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum", "x-queue-mode": "lazy"}).told()


@provocation("queue.declare: stream, x-expires")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "stream", "x-expires": 1000}).told()


@provocation("queue.declare: quorum, not durable")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum"}, durable=False).told()


@provocation("queue.declare: quorum, exclusive")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum"}, exclusive=True).told()


@provocation("queue.declare: quorum, auto-delete")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum"}, auto_delete=True).told()


@provocation("exchange.declare: unknown type")
def _(s):
    return s.channel().declare_exchange("x", "fast").told()


@provocation("exchange.declare: x-delayed-message without its plugin")
def _(s):
    return s.channel().declare_exchange("x", "x-delayed-message").told()


@provocation("queue.declare: virtual host's queue limit")
def _(s):
    s.broker.api("PUT", f"vhost-limits/{s.vhost}/max-queues", {"value": 1})
    return s.channel().declare("q").declare("r").told()


@provocation("queue.declare: cluster's queue limit (`cluster_queue_limit`)", "cluster_queue_limit = 1",
             versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare("q").declare("r").told()


@provocation("queue.declare passive on a queue of another type and arguments")
def _(s):
    return s.channel().declare("q").declare("q", {"x-queue-type": "quorum"}, passive=True).told()


@provocation("queue.delete if-empty, with a message")
def _(s):
    return s.channel().declare("q").publish("", "q").delete("q", 2).told()


@provocation("queue.delete if-unused, with a consumer")
def _(s):
    return s.channel().declare("q").consume("q").delete("q", 1).told()


@provocation("basic.consume: x-cancel-on-ha-failover")
def _(s):
    return s.channel().declare("q").consume("q", arguments={"x-cancel-on-ha-failover": True}).told() or ["taken"]


@provocation("basic.consume of a stream without a prefetch")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "stream"}).consume("q").told()


@provocation("basic.consume of a stream with no-ack")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "stream"}).qos(5).consume("q", no_ack=True).told()


@provocation("basic.consume of a stream: invalid x-stream-offset")
def _(s):
    c = s.channel().declare("q", {"x-queue-type": "stream"}).qos(5)
    return c.consume("q", arguments={"x-stream-offset": "soon"}).told()


@provocation("basic.consume of a quorum queue: global prefetch")
def _(s):
    return s.channel().declare("q", {"x-queue-type": "quorum"}).qos(5, everywhere=True).consume("q").told() or ["taken"]


@provocation("basic.get of a stream")
def _(s):
    c = s.channel().declare("q", {"x-queue-type": "stream"})
    c.send(1, 60, 70, b"\0\0" + short("q") + b"\0")
    return c.told()


@provocation("basic.publish: expiration is no number")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", properties=expiration("soon")).told()


@provocation("basic.publish: expiration is negative")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", properties=expiration("-1")).told()


@provocation("basic.publish: expiration is a century")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", properties=expiration("3153600000000")).told()


@provocation("basic.publish: header CC is no list")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", properties=headers({"CC": "q"})).told()


@provocation("basic.publish: larger than max_message_size (1 MiB here)")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", b"x" * 1048577).told()


@provocation("the same by default: 16 MiB and one byte", "#plain")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", b"x" * (16 * 1048576 + 1)).told(2)


@provocation("the same by default: 128 MiB and one byte", "#plain")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", b"x" * (128 * 1048576 + 1)).told(5)


@provocation("confirm.select on a channel with transactions")
def _(s):
    c = s.channel()
    c.send(1, 90, 10)
    c.wait("tx.select-ok")
    return c.confirm().told()


# Acknowledging.

@provocation("basic.ack of an unknown delivery tag")
def _(s):
    c = s.channel()
    c.send(1, 60, 80, struct.pack(">QB", 99, 0))
    return c.told()


@provocation("basic.nack of an unknown delivery tag")
def _(s):
    c = s.channel()
    c.send(1, 60, 120, struct.pack(">QB", 99, 0))
    return c.told()


def unacknowledged(s, queue_type):
    c = s.channel().declare("q", {"x-queue-type": queue_type}).publish("", "q")
    c.qos(1).consume("q", "t")
    c.wait("basic.deliver")
    told = c.told(30)
    # Who acknowledges after all?
    c.send(1, 60, 80, struct.pack(">QB", 1, 0))
    more = c.told(1)[len(told):]
    return told + (["then basic.ack:"] + (more or ["nothing"]))


@provocation("not acknowledged within consumer_timeout (10 s here), classic queue")
def _(s):
    return unacknowledged(s, "classic")


@provocation("not acknowledged within consumer_timeout (10 s here), quorum queue")
def _(s):
    return unacknowledged(s, "quorum")


# The protocol.

@provocation("frame with a wrong end")
def _(s):
    c = s.connect()
    c.frame(1, 1, struct.pack(">HH", 20, 10) + b"\0", end=b"\0")
    return c.told()


@provocation("frame larger than agreed")
def _(s):
    c = s.connect(frame_max=8192).open_channel()
    c.frame(3, 1, b"x" * 9000)
    return c.told()


@provocation("frame_max of 4096 asked for, which is the least")
def _(s):
    return s.connect(frame_max=4096).told() or ["taken"]


@provocation("frame_max of 1024 asked for, less than the least")
def _(s):
    return s.connect(frame_max=1024).told() or ["taken"]


@provocation("frame of an unknown kind")
def _(s):
    c = s.connect().open_channel()
    c.frame(7, 1, b"")
    return c.told()


@provocation("method that does not exist")
def _(s):
    c = s.connect().open_channel()
    c.send(1, 60, 199)
    return c.told()


@provocation("arguments cut short")
def _(s):
    c = s.connect().open_channel()
    c.send(1, 50, 10, b"\0\0\x20q")
    return c.told()


@provocation("name that is not UTF-8")
def _(s):
    return s.channel().declare(b"\xff\xfe").told()


@provocation("method on a channel that is not open")
def _(s):
    c = s.connect()
    c.declare("q", channel=5)
    return c.told()


@provocation("channel.open twice")
def _(s):
    return s.channel().open_channel().told()


@provocation("body without a method")
def _(s):
    c = s.channel()
    c.frame(3, 1, b"x")
    return c.told()


@provocation("method in place of a content header")
def _(s):
    c = s.channel()
    c.send(1, 60, 40, b"\0\0" + short("") + short("q") + b"\0")
    c.send(1, 60, 40, b"\0\0" + short("") + short("q") + b"\0")
    return c.told()


@provocation("more body than the header says")
def _(s):
    c = s.channel()
    c.send(1, 60, 40, b"\0\0" + short("") + short("q") + b"\0")
    c.frame(2, 1, struct.pack(">HHQ", 60, 0, 1) + b"\0\0")
    c.frame(3, 1, b"xx")
    return c.told()


@provocation("one channel more than agreed")
def _(s):
    return s.connect(channel_max=2).open_channel(1).open_channel(2).open_channel(3).told()


@provocation("user's channel limit")
def _(s):
    user = s.broker.user(s.vhost, name="channels")
    s.broker.api("PUT", f"user-limits/{user}/max-channels", {"value": 1})
    c = s.connect(user).open_channel(1)
    time.sleep(1)
    return c.open_channel(2).told()


@provocation("node's channel limit (`channel_max_per_node = 1`)", "channel_max_per_node = 1", versions=("4.0", "4.3"))
def _(s):
    c = s.connect().open_channel(1)
    time.sleep(1)
    return c.open_channel(2).told()


@provocation("consumers on a channel (`consumer_max_per_channel = 1`)", "consumer_max_per_channel = 1",
             versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare("q").consume("q").consume("q").told()


@provocation("nothing for twice the heartbeat (4 s)")
def _(s):
    c = s.connect(open_=False)
    # Heartbeats are agreed before `connection.open`, so by hand.
    c.close()
    import socket
    c = Connection.__new__(Connection)
    c.events, c.buffer, c.seen, c.frame_max = [], b"", 0, 131072
    c.socket = socket.create_connection(("127.0.0.1", s.broker.port))
    c.socket.sendall(b"AMQP\0\0\x09\x01")
    c.wait("connection.start")
    secret = b"\0guest\0guest"
    c.send(0, 10, 11, table({}) + short("PLAIN") + struct.pack(">I", len(secret)) + secret + short("en_US"))
    c.wait("connection.tune")
    c.send(0, 10, 31, struct.pack(">HIH", 0, 131072, 2))
    c.send(0, 10, 40, short(s.vhost) + short("") + b"\0")
    c.wait("connection.open-ok")
    started = time.monotonic()
    told = c.told(4)
    while not told and time.monotonic() - started < 15:
        told = c.told(4)
    return told


@provocation("nothing after the connection is open, for 10 s (handshake_timeout)")
def _(s):
    import socket
    peer = socket.create_connection(("127.0.0.1", s.broker.port))
    peer.settimeout(20)
    started = time.monotonic()
    try:
        peer.recv(100)
    except ConnectionResetError:
        pass
    return [f"end of the connection after {time.monotonic() - started:.0f} s"]


# What is not implemented, or no more.

@provocation("basic.publish immediate")
def _(s):
    return s.channel().declare("q").confirm().publish("", "q", bits=2).told()


@provocation("basic.qos with a prefetch size")
def _(s):
    return s.channel().qos(1, size=1).told()


@provocation("basic.qos global")
def _(s):
    return s.channel().qos(1, everywhere=True).told() or ["taken"]


@provocation("queue.declare: neither durable nor exclusive")
def _(s):
    return s.channel().declare("q", durable=False).told() or ["taken"]


@provocation("the same, auto-delete")
def _(s):
    return s.channel().declare("q", durable=False, auto_delete=True).told() or ["taken"]


DENIED = "deprecated_features.permit.{} = false"


@provocation("the same where `transient_nonexcl_queues` is denied",
             DENIED.format("transient_nonexcl_queues"), versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare("q", durable=False).told(2) or ["taken"]


@provocation("queue.declare: exclusive, not durable, where `transient_nonexcl_queues` is denied",
             DENIED.format("transient_nonexcl_queues"), versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare("q", durable=False, exclusive=True).told(2) or ["taken"]


@provocation("exchange.declare: not durable, where `transient_nonexcl_queues` is denied",
             DENIED.format("transient_nonexcl_queues"), versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare_exchange("x", durable=False).told(2) or ["taken"]


@provocation("basic.qos global where `global_qos` is denied", DENIED.format("global_qos"), versions=("4.0", "4.3"))
def _(s):
    return s.channel().qos(1, everywhere=True).told(2) or ["taken"]


@provocation("`transient_nonexcl_queues` permitted in so many words",
             "deprecated_features.permit.transient_nonexcl_queues = true", versions=("4.0", "4.3"))
def _(s):
    return s.channel().declare("q", durable=False).told() or ["taken"]


# Publishing.

@provocation("basic.publish, mandatory, no queue")
def _(s):
    return s.channel().confirm().publish("", "missing", bits=1).told()


@provocation("basic.publish, mandatory, exchange without a binding")
def _(s):
    return s.channel().declare_exchange("x").confirm().publish("x", "k", bits=1).told()


def to_a_full_queue(s, queue_type, overflow, mandatory=0):
    arguments = {"x-queue-type": queue_type, "x-max-length": 1, "x-overflow": overflow}
    c = s.channel().declare("q", arguments).confirm()
    for _ in range(4):
        c.publish("", "q", bits=mandatory)
        time.sleep(0.3)
    return c.told()


@provocation("basic.publish, four times, classic queue of one message, reject-publish")
def _(s):
    return to_a_full_queue(s, "classic", "reject-publish")


@provocation("basic.publish, four times, quorum queue of one message, reject-publish")
def _(s):
    return to_a_full_queue(s, "quorum", "reject-publish")


@provocation("basic.publish, four times, classic queue of one message, drop-head")
def _(s):
    return to_a_full_queue(s, "classic", "drop-head")


@provocation("basic.publish, four times, classic queue of one message, reject-publish-dlx")
def _(s):
    return to_a_full_queue(s, "classic", "reject-publish-dlx")


@provocation("queue deleted under a consumer")
def _(s):
    c = s.channel().declare("q").consume("q", "t")
    s.channel().delete("q")
    return c.told(1)


@provocation("quorum queue deleted under a consumer")
def _(s):
    c = s.channel().declare("q", {"x-queue-type": "quorum"}).consume("q", "t")
    s.channel().delete("q")
    return c.told(1)


@provocation("stream deleted under a consumer")
def _(s):
    c = s.channel().declare("q", {"x-queue-type": "stream"}).qos(5).consume("q", "t")
    s.channel().delete("q")
    return c.told(2)


@provocation("memory alarm")
def _(s):
    c = s.channel().declare("q").confirm()
    s.broker.command("ctl set_vm_memory_high_watermark absolute 1MB")
    # Older brokers say it to who has published.
    c.publish("", "q")
    told = c.told(5)
    s.broker.command("ctl set_vm_memory_high_watermark absolute 1GB")
    return told + ["watermark back:"] + c.told(5)[len(told):]


@provocation("disk alarm")
def _(s):
    c = s.channel().declare("q").confirm()
    s.broker.command("ctl set_disk_free_limit 100000000000000")
    c.publish("", "q")
    told = c.told(12)
    s.broker.command("ctl set_disk_free_limit 50000000")
    return told + ["limit back:"] + c.told(12)[len(told):]


# Nodes.

@provocation("node stops in order under a connection", nodes=3)
def _(s):
    c = s.channel(port=s.broker.ports[1])
    s.broker.command("stop 2")
    told = c.told(8)
    s.broker.command("start 2")
    return told


@provocation("node is killed under a connection", nodes=3)
def _(s):
    c = s.channel(port=s.broker.ports[1])
    os.kill(s.broker.pids[1], signal.SIGKILL)
    told = c.told(3)
    s.broker.command("start 2")
    return told


@provocation("node of a classic queue's is killed under a consumer elsewhere", nodes=3)
def _(s):
    s.channel(port=s.broker.ports[1]).declare("q")
    c = s.channel().consume("q", "t")
    os.kill(s.broker.pids[1], signal.SIGKILL)
    told = c.told(3)
    s.broker.command("start 2")
    return told


def without_a_majority(s, act, seconds):
    # The first node's connection; the two others are frozen, so that nobody stops for being in the minority.
    c = s.channel().declare("q", {"x-queue-type": "quorum"}).confirm()
    d = s.channel().confirm()
    c.publish("", "q")
    c.wait("basic.ack")
    pids = s.broker.pids[1:]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        seen = []
        told = act(c, d)
        while time.monotonic() - started < seconds:
            now = told()
            seen += [f"{text} after {time.monotonic() - started:.0f} s" for text in now[len(seen):]]
        return seen or [f"nothing within {seconds} s"]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(2)
        for node in (2, 3, 1):
            s.broker.command(f"restart {node}")


@provocation("basic.publish to a quorum queue without a majority (two of three frozen), by one who has published", nodes=3)
def _(s):
    return without_a_majority(s, lambda c, d: (c.publish("", "q"), lambda: c.told(1)[1:])[1], 90)


@provocation("basic.publish to a quorum queue without a majority (two of three frozen), by a new publisher", nodes=3)
def _(s):
    return without_a_majority(s, lambda c, d: (d.publish("", "q"), lambda: d.told(1))[1], 90)


@provocation("queue.declare of a new quorum queue without a majority (two of three frozen)", nodes=3)
def _(s):
    def act(c, d):
        d.send(1, 50, 10, b"\0\0" + short("new") + b"\2" + table({"x-queue-type": "quorum"}))
        return lambda: d.told(1)
    return without_a_majority(s, act, 90)


@provocation("basic.consume of a quorum queue without a majority (two of three frozen)", nodes=3)
def _(s):
    def act(c, d):
        d.send(1, 60, 20, b"\0\0" + short("q") + short("t") + b"\0" + table({}))
        return lambda: d.told(1)
    return without_a_majority(s, act, 90)


def run(version, only):
    """What one version says: by title, a list of events."""
    said, release = {}, version
    for setting, nodes in dict.fromkeys((setting, nodes) for _, setting, nodes, _, _ in PROVOCATIONS):
        chosen = [(title, function) for title, s, n, versions, function in PROVOCATIONS
                  if (s, n) == (setting, nodes) and version in versions and only in title]
        if not chosen:
            continue
        try:
            broker = Broker(version, setting if setting.startswith("#plain") else COMMON + setting + "\n", nodes)
            release = broker.release
        except Exception as error:
            for title, _ in chosen:
                said[title] = [f"(no broker: {error!r})"]
            continue
        for title, function in chosen:
            scene = None
            try:
                scene = Scene(broker)
                said[title] = function(scene) or ["nothing"]
            except Exception as error:
                said[title] = [f"(not provoked: {error!r})"]
            finally:
                if scene:
                    scene.end()
            print(f"{release} {title}: {'; '.join(said[title])}", file=sys.stderr, flush=True)
        broker.end()
    return release, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("versions", nargs="+")
    options = parser.parse_args()
    answers = [run(version, options.only) for version in options.versions]
    for title, *_ in PROVOCATIONS:
        rows = [(release, said[title]) for release, said in answers if title in said]
        if not rows:
            continue
        print(f"### {title}\n")
        texts = ["; ".join(events) for _, events in rows]
        if len(rows) > 1 and len(set(texts)) == 1:
            print(f"* all: {texts[0]}")
        else:
            for (release, _), text in zip(rows, texts):
                print(f"* {release}: {text}")
        print()


if __name__ == "__main__":
    main()
