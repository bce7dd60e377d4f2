"""Provocations: exchanges and queues that are not there, or are somebody's, or are not as one says."""

from stage import provocation
from wire import expiration, headers, short


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
