"""Provocations: who may log in, see, write and read what."""

import socket
import time
import urllib.parse

from stage import provocation
from wire import Connection, short, table, user_id


# Login and the virtual host.

@provocation("login: wrong password")
def _(s):
    return s.connect("guest", "wrong").told()


@provocation("login: method that the broker does not offer")
def _(s):
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
