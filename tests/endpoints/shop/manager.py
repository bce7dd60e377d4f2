"""The shop's endpoints, in the style of OpenStack's services."""

import datetime
import socket
import uuid

import oslo_messaging as messaging
import sqlalchemy
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import excutils, strutils

from shop import exception
from shop import rpcapi as shop_rpcapi

LOG = logging.getLogger(__name__)

shop_opts = [
    cfg.IntOpt("max_orders", default=3, min=1),
    cfg.ListOpt("articles", default=["chair"]),
]
CONF = cfg.CONF
CONF.register_opts(shop_opts)
CONF.register_opts([cfg.BoolOpt("open", default=False)], group="shop")


class Database:
    """What the endpoints do not need."""

    def __init__(self, url):
        self.engine = sqlalchemy.create_engine(url, connect_args={"host": socket.gethostname()})


class OrderManager:
    """Version 1.3 of the orders, which are in a namespace of their own and in the one that they had before."""

    target = messaging.Target(namespace="orders", version="1.3", legacy_namespaces=["old_orders"])
    attribute = "is none of its methods"

    def __init__(self):
        self.scheduler = shop_rpcapi.SchedulerAPI()
        self.computes = shop_rpcapi.ComputeAPI()

    @messaging.expected_exceptions(exception.OutOfStock)
    def order(self, ctxt, article, count=1):
        if article not in CONF.articles:
            raise exception.OutOfStock(article=article)
        if count > CONF.max_orders:
            raise ValueError(f"{count} is more than {CONF.max_orders}")
        LOG.info("ordered %(count)s of %(article)s", {"count": count, "article": article}, resource={"name": "order"})
        return {
            "id": uuid.UUID(int=7), "at": datetime.datetime(2026, 1, 2, 3, 4, 5), "user": ctxt["user_id"],
            "open": CONF.shop.open, "words": strutils.mask_password("password = secret"),
        }

    def deliver(self, ctxt, count):
        hosts = [each["host"] for each in self.scheduler.select(ctxt, count)]
        for number, host in enumerate(hosts):
            self.computes.build(ctxt, host, number)
        return hosts

    def try_to_deliver(self, ctxt):
        try:
            self.scheduler.select(ctxt, 1)
        except messaging.RemoteError as error:
            return [error.exc_type, error.value]

    def fail_twice(self, ctxt):
        try:
            raise KeyError("first")
        except KeyError:
            with excutils.save_and_reraise_exception():
                LOG.warning("it goes on")

    def _private(self, ctxt):
        return "nobody may ask"


class OrderManagerV2:
    """Version 2.0, beside the other."""

    target = messaging.Target(namespace="orders", version="2.0")

    def order(self, ctxt, article):
        return f"2.0 of {article}"


class LaterOrders:
    """Version 1.5, which comes after 1.3: what 1.3 has is 1.3's, for those who ask for no more."""

    target = messaging.Target(namespace="orders", version="1.5")

    def order(self, ctxt, article):
        return f"1.5 of {article}"

    def cancel(self, ctxt):
        return "canceled"


class First:
    """Of two with one namespace and version."""

    def both(self, ctxt):
        return "first"

    def only_first(self, ctxt):
        return 1


class Second:
    """The other."""

    def both(self, ctxt):
        return "second"

    def only_second(self, ctxt):
        return 2
