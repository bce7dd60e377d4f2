"""Provocations: what is not implemented, or no more."""

from stage import provocation


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
