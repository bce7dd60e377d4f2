"""A real nova on this machine: RabbitMQ, MariaDB, placement, nova-api, -scheduler, -conductor, and computes with nova's fake hypervisor.

Without keystone, glance and neutron. Every RPC between the services is real. `Cloud` puts the parts together, and ends them.
"""

import json
import subprocess
import time

from api import is_answered
from broker import Broker
from parts import Failed, Part, Parts
from place import BIN, HERE, Place
from settings import LEGACY, Settings
from store import Store

# A fake one whose node is in a file, so that its compute may be started again; what it runs it forgets.
DRIVER = "fake.FakeDriverWithoutFakeNodes"


class Cloud:
    """A cloud, from start to end. Its name is that of its folder of logs; `drivers` are those of its computes, one each; `legacy` puts
    the conductor on its own exchange, and `aside` what stands in front of it."""

    def __init__(self, name, drivers=(DRIVER, DRIVER), legacy=False, notifications=False, aside=None, conductors=1):
        self.began = time.monotonic()
        self.place, self.parts, self.broker = Place(name), Parts(), None
        self.drivers, self.aside = {f"compute{number}": driver for number, driver in enumerate(drivers, 1)}, aside
        self.store = Store(self.place)
        self.settings = Settings(self.place, self.store, notifications)
        self.exchange = LEGACY if legacy else "nova"
        self.conductors = ["conductor", *(f"conductor{number}" for number in range(2, conductors + 1))]
        self.parts.add(self.store.part)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        """Starts all, and waits until every compute takes servers."""
        self.broker = Broker(self.place.logs)
        self.store.prepare(self.settings)
        self.broker.wait_until_ready()
        self.store.part.wait_until_ready()
        self.store.settle(self.broker.url)
        self.write()
        # Who stands in front is there before the first request: a compute asks the conductor as it starts.
        if self.aside:
            self.aside(self)
        self.parts.start("placement", "stubs", *self.conductors, "scheduler", "api")
        self.parts.start(*self.drivers)
        names = len(self.drivers)
        self.store.wait_for("select 1 from cell1.compute_nodes", names, 60, f"not all computes came; see {self.place.logs}")
        self.store.run(BIN / "nova-manage", "--config-file", self.settings.path("nova"), "cell_v2", "discover_hosts")
        self.started = time.monotonic() - self.began

    def write(self):
        """Writes the configuration, and says how each part is started and when it is ready."""
        self.settings.write_controller(self.broker.url)
        for name in self.conductors:
            self.settings.write_conductor(name, self.exchange)
        for name, driver in self.drivers.items():
            self.settings.write_compute(name, self.broker.url, driver)
        nova = self.settings.path("nova")
        self.add("placement", [BIN / "python", HERE / "serve.py", "placement", self.place.ports["placement"]], self.answers("placement"))
        self.add("stubs", [BIN / "python", HERE / "stubs.py", self.place.ports["glance"], self.place.ports["neutron"]],
                 lambda: self.answers("glance")() and self.answers("neutron")())
        self.add("api", [BIN / "python", HERE / "serve.py", "api", self.place.ports["api"]], self.answers("api"))
        for name in self.conductors:
            self.add(name, [BIN / "nova-conductor", "--config-file", nova, "--config-file", self.settings.path(name)],
                     self.is_served(name.replace("conductor", "conductor.controller")))
        self.add("scheduler", [BIN / "nova-scheduler", "--config-file", nova], self.is_served("scheduler.controller"))
        for name in self.drivers:
            self.add(name, [BIN / "nova-compute", "--config-file", self.settings.path(name)], self.is_served(f"compute.{name}"))

    def add(self, name, command, ready):
        self.parts.add(Part(name, command, self.place.logs / f"{name}.log", self.settings.environment(), self.place.run, ready))

    def answers(self, name):
        return lambda: is_answered(self.place.url(name))

    def is_served(self, queue):
        return lambda: self.broker.consumers(queue) > 0

    def ask_conductor(self, method, version, arguments, times=()):
        """Calls the conductor, or who stands in front of it; returns what it answers, as JSON, or what each of `times` calls took."""
        words = [BIN / "python", HERE / "caller.py", self.broker.url, method, version, json.dumps(arguments), *map(str, times)]
        done = subprocess.run(words, text=True, capture_output=True, timeout=60)
        if done.returncode:
            raise Failed(f"{method} was not answered: {done.stderr[-500:]}")
        return done.stdout.strip()

    def end(self):
        """Ends all parts, the broker last; what they wrote stays in target/cloud/logs/NAME."""
        self.parts.end()
        if self.broker:
            self.broker.end()
        self.place.end()

    def where(self):
        """Where things are, for people."""
        pids = {name: part.process.pid for name, part in self.parts.by_name.items() if part.process}
        return "\n".join([
            f"cloud: ready in {self.started:.0f} s",
            f"  nova-api   {self.place.url('api')}/v2.1",
            f"  broker     {self.broker.url} RabbitMQ {self.broker.release}, management {self.broker.management}",
            f"  database   root, unix socket {self.place.database_socket}, databases api, cell0, cell1, placement",
            f"  logs       {self.place.logs}",
            "  pids       " + " ".join(f"{name}={pid}" for name, pid in pids.items()) + f" rabbitmq={self.broker.pid}"])
