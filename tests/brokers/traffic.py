"""Provocations: what is published, delivered and acknowledged, and what breaks the protocol."""

import socket
import struct
import time

from stage import provocation
from wire import Connection, short, table


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
    peer = socket.create_connection(("127.0.0.1", s.broker.port))
    peer.settimeout(20)
    started = time.monotonic()
    try:
        peer.recv(100)
    except ConnectionResetError:
        pass
    return [f"end of the connection after {time.monotonic() - started:.0f} s"]


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
