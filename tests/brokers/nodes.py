"""Provocations: nodes of a cluster that stop, die and freeze."""

import os
import signal
import time

from stage import provocation
from wire import short, table


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
