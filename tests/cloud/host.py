"""Nova Host in front of the conductor: its configuration, its process, and the commands an operator has while it runs."""

import shutil
import subprocess

from parts import Failed, Part
from place import HOST, TARGET
from settings import LEGACY
from takeover import FRONT, alternates, connect_back

CONFIG = """transport_url = "{broker}"
topics = ["conductor"]
server = "{name}"
[handlers]
directory = "{handlers}"
watch = false
cache = "{cache}"
[control]
socket = "{sockets}/{name}.sock"
[forward]
exchange = "{legacy}"
{front}
[forward.methods]
{methods}
"""
# What handlers/conductor may and knows here, in place of its own manifest.
MANIFEST = """[limits]
timeout = "31m"
[grants]
rpc = ["scheduler.select_destinations", "compute.build_and_run_instance", "compute.cache_images"]
http = ["{placement}"]
[config]
placement = "{placement}"
leave_exhausted = true
no_shares = true
"""
# As a handler has some methods of the conductor's, all are forwarded only where a rule says so.
ALL = {"*": "forward"}


class Host:
    """One host, by its name. `methods` are rules of `[forward.methods]`; `front` is the exchange that it listens to."""

    def __init__(self, cloud, name, methods, front=None):
        if not HOST.exists():
            raise Failed("no target/release/nova-host; run make build")
        self.name, place = name, cloud.place
        handlers = place.run / "handlers"
        handlers.mkdir(exist_ok=True)
        shutil.copy(TARGET / "handlers" / "conductor.wasm", handlers)
        (handlers / "conductor.toml").write_text(MANIFEST.format(placement=place.url("placement")))
        self.config = place.run / f"{name}.toml"
        self.config.write_text(CONFIG.format(
            broker=cloud.broker.url, name=name, handlers=handlers, cache=place.run / "cache", sockets=place.sockets, legacy=LEGACY, front=f'front = "{front}"' if front else "",
            methods="\n".join(f'"{method}" = "{side}"' for method, side in methods.items())))
        (place.run / "cache").mkdir(mode=0o700, exist_ok=True)
        self.part = cloud.parts.add(Part(name, [HOST, "serve", "--config", self.config], place.logs / f"{name}.log", ready=self.is_ready))

    def is_ready(self):
        return self.ask("status").returncode == 0

    def ask(self, *words):
        """Runs `nova-host …` for this host."""
        return subprocess.run([HOST, *words, "--config", self.config], text=True, capture_output=True, timeout=60)

    def command(self, *words):
        """Runs `nova-host …`, and fails where that does; returns what it says."""
        done = self.ask(*words)
        if done.returncode:
            raise Failed(f"nova-host {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def counted(self, metric, **labels):
        """What it counts under a name, over all labels but those given."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        lines = [line for line in self.command("metrics").splitlines() if line.split("{")[0].split(" ")[0] == metric]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in wanted))


def in_front(*names, methods=None):
    """In front of the conductor stand hosts: what `Cloud` is told to put there. They are in `cloud.hosts`."""
    def put(cloud):
        connect_back(cloud.broker)
        cloud.hosts = {name: Host(cloud, name, ALL if methods is None else methods) for name in names}
        cloud.parts.start(*names)
    return put


def at_the_alternate(*names):
    """The same where the hosts listen to the alternate exchange of `nova`: `nova-host forward` puts them in front and takes them away."""
    def put(cloud):
        alternates(cloud.broker)
        cloud.hosts = {name: Host(cloud, name, ALL, FRONT) for name in names}
        cloud.parts.start(*names)
    return put
