"""A client for AMQP 0-9-1 that keeps every frame that the broker sends, and may send what no client should.

Used by answers.py beside it. Tables are written by py-amqp.
"""

import socket
import struct
import time

from amqp.serialization import dumps

NAMES = {
    (10, 10): "connection.start", (10, 30): "connection.tune", (10, 41): "connection.open-ok",
    (10, 50): "connection.close", (10, 51): "connection.close-ok", (10, 60): "connection.blocked",
    (10, 61): "connection.unblocked", (20, 11): "channel.open-ok", (20, 20): "channel.flow",
    (20, 40): "channel.close", (20, 41): "channel.close-ok", (40, 11): "exchange.declare-ok",
    (40, 21): "exchange.delete-ok", (50, 11): "queue.declare-ok", (50, 21): "queue.bind-ok",
    (50, 41): "queue.delete-ok", (60, 11): "basic.qos-ok", (60, 21): "basic.consume-ok",
    (60, 30): "basic.cancel", (60, 31): "basic.cancel-ok", (60, 50): "basic.return", (60, 60): "basic.deliver",
    (60, 71): "basic.get-ok", (60, 72): "basic.get-empty", (60, 80): "basic.ack", (60, 111): "basic.recover-ok",
    (60, 120): "basic.nack", (85, 11): "confirm.select-ok", (90, 11): "tx.select-ok",
}

# What the broker says by itself, and is worth telling.
TOLD = ("connection.close", "channel.close", "connection.blocked", "connection.unblocked", "basic.return",
        "basic.nack", "basic.ack", "basic.cancel", "basic.deliver")


def short(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("B", len(data)) + data


def long_(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">I", len(data)) + data


def table(values):
    return dumps("F", [values])


class Event:
    """One method of the broker: its channel, name, and reply code and text where it has them."""

    def __init__(self, channel, name, arguments):
        self.channel, self.name, self.arguments = channel, name, arguments
        self.code, self.text = 0, ""
        if name in ("connection.close", "channel.close", "basic.return"):
            self.code, self.text = reply(arguments)
        elif name == "connection.blocked":
            self.text = arguments[1:1 + arguments[0]].decode()

    def __str__(self):
        code = f" {self.code}" if self.code else ""
        return f"{self.name}{code}" + (f" `{self.text}`" if self.text else "")


def reply(arguments):
    code, length = struct.unpack_from(">HB", arguments)
    return code, arguments[3:3 + length].decode(errors="replace")


class Gone(Exception):
    """The connection has ended."""


class Connection:
    """One connection; what came is in `events`."""

    def __init__(self, port, user="guest", password="guest", vhost="/", channel_max=0, frame_max=0, open_=True):
        self.events, self.buffer, self.seen = [], b"", 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self.wait("connection.start")
        capabilities = {"authentication_failure_close": True, "connection.blocked": True, "basic.nack": True,
                        "consumer_cancel_notify": True, "publisher_confirms": True}
        secret = f"\0{user}\0{password}"
        self.send(0, 10, 11, table({"capabilities": capabilities}) + short("PLAIN") + long_(secret) + short("en_US"))
        tune = self.wait("connection.tune")
        if tune is None:
            return
        most, frame, _ = struct.unpack(">HIH", tune.arguments)
        self.frame_max = frame_max or frame
        self.send(0, 10, 31, struct.pack(">HIH", channel_max or most, self.frame_max, 0))
        if open_:
            self.send(0, 10, 40, short(vhost) + short("") + b"\0")
            self.wait("connection.open-ok")

    def send(self, channel, class_, method, arguments=b""):
        self.frame(1, channel, struct.pack(">HH", class_, method) + arguments)

    def frame(self, kind, channel, payload, end=b"\xce"):
        try:
            self.socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + end)
        except OSError:
            pass

    def step(self, deadline):
        """Reads until there is one more event."""
        before = len(self.events)
        while len(self.events) == before:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                data = b""
            if not data:
                raise Gone
            self.buffer += data
            self.take()
        return True

    def take(self):
        while len(self.buffer) >= 8:
            kind, channel, length = struct.unpack_from(">BHI", self.buffer)
            if len(self.buffer) < length + 8:
                return
            payload, self.buffer = self.buffer[7:7 + length], self.buffer[length + 8:]
            if kind == 1:
                method = struct.unpack_from(">HH", payload)
                self.events.append(Event(channel, NAMES.get(method, str(method)), payload[4:]))
                # A channel that is not said to be closed is closed again and again.
                if method == (20, 40):
                    self.send(channel, 20, 41)

    def wait(self, *names, seconds=20):
        """The next event of such a name, or the next close; None after the time, or at the end of the connection."""
        deadline = time.monotonic() + seconds
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if event.name in names:
                    return event
                if event.name.endswith(".close"):
                    return None
            try:
                if not self.step(deadline):
                    return None
            except Gone:
                return None

    def told(self, seconds=0.5):
        """What the broker said by itself, after some silence."""
        ended = ""
        deadline = time.monotonic() + seconds
        try:
            while self.step(deadline):
                pass
        except Gone:
            ended = "end of the connection"
        told = [str(event) for event in self.events if event.name in TOLD]
        return told + [ended] * bool(ended and not any(text.startswith("connection.close") for text in told))

    def open_channel(self, channel=1):
        self.send(channel, 20, 10, b"\0")
        self.wait("channel.open-ok")
        return self

    def confirm(self, channel=1):
        self.send(channel, 85, 10, b"\0")
        self.wait("confirm.select-ok")
        return self

    def declare(self, queue, arguments=None, durable=True, exclusive=False, auto_delete=False, passive=False, channel=1):
        bits = passive | durable << 1 | exclusive << 2 | auto_delete << 3
        rest = table(arguments or {})
        self.send(channel, 50, 10, b"\0\0" + short(queue) + struct.pack("B", bits) + rest)
        self.wait("queue.declare-ok", seconds=90)
        return self

    def declare_exchange(self, name, kind="topic", durable=True, passive=False, auto_delete=False, channel=1):
        bits = passive | durable << 1 | auto_delete << 2
        self.send(channel, 40, 10, b"\0\0" + short(name) + short(kind) + struct.pack("B", bits) + table({}))
        self.wait("exchange.declare-ok")
        return self

    def delete_exchange(self, name, channel=1):
        self.send(channel, 40, 20, b"\0\0" + short(name) + b"\0")
        self.wait("exchange.delete-ok")
        return self

    def bind(self, queue, exchange, key="k", channel=1):
        self.send(channel, 50, 20, b"\0\0" + short(queue) + short(exchange) + short(key) + b"\0" + table({}))
        self.wait("queue.bind-ok")
        return self

    def delete(self, queue, bits=0, channel=1):
        self.send(channel, 50, 40, b"\0\0" + short(queue) + struct.pack("B", bits))
        self.wait("queue.delete-ok")
        return self

    def qos(self, count, size=0, everywhere=False, channel=1):
        self.send(channel, 60, 10, struct.pack(">IHB", size, count, everywhere))
        self.wait("basic.qos-ok")
        return self

    def consume(self, queue, tag="", arguments=None, exclusive=False, no_ack=False, channel=1):
        bits = struct.pack("B", no_ack << 1 | exclusive << 2)
        self.send(channel, 60, 20, b"\0\0" + short(queue) + short(tag) + bits + table(arguments or {}))
        self.wait("basic.consume-ok")
        return self

    def publish(self, exchange, key, body=b"x", bits=0, properties=b"\0\0", channel=1):
        """`bits`: 1 mandatory, 2 immediate. `properties`: flags and values, as on the wire."""
        self.send(channel, 60, 40, b"\0\0" + short(exchange) + short(key) + struct.pack("B", bits))
        self.frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties)
        size = (self.frame_max or 131072) - 8
        for start in range(0, len(body), size):
            self.frame(3, channel, body[start:start + size])
        return self

    def close(self):
        self.socket.close()


def expiration(text):
    return struct.pack(">H", 1 << 8) + short(text)


def user_id(text):
    return struct.pack(">H", 1 << 4) + short(text)


def headers(values):
    return struct.pack(">H", 1 << 13) + table(values)
