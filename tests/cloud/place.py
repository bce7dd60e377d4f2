"""Where a cloud lives: its directory below target/, its ports on the loopback interface, its lock.

Only one cloud at a time has the directory. What it leaves there are its logs, until one of the same name starts.
"""

import fcntl
import pathlib
import random
import shutil
import socket
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
TARGET = ROOT / "target"
BIN = TARGET / "venv-cloud" / "bin"
HOST = TARGET / "release" / "nova-host"
# As the broker's, below the ephemeral range.
PORTS = range(12000, 32000, 16)


class Place:
    """The directory and the ports of one cloud, from start to end."""

    def __init__(self, name):
        if not (BIN / "nova-conductor").exists():
            raise SystemExit("cloud: no nova in target/venv-cloud; run tests/setup.sh --cloud")
        top = TARGET / "cloud"
        top.mkdir(exist_ok=True)
        self.lock = open(top / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("cloud: another one runs here, which has target/cloud; end it first") from None
        self.template, self.run, self.logs = top / "template", top / "run", top / "logs" / name
        # One that was killed has left its own.
        link = self.run / "sockets"
        if link.is_symlink():
            shutil.rmtree(link.readlink(), ignore_errors=True)
        for directory in (self.run, self.logs):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
        # A socket's path has at most 107 bytes, and that of the repository may have more.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="nova-host-cloud-"))
        link.symlink_to(self.sockets)
        self.database_socket = self.sockets / "db"
        self.ports = dict(zip(("api", "placement", "glance", "neutron"), free_ports(4)))

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def end(self):
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)
        self.lock.close()


def free_ports(number):
    """Neighbouring ports that nobody listens on, at random so that what starts together differs."""
    for base in random.sample(PORTS, 100):
        ports = range(base, base + number)
        if all(is_free(port) for port in ports):
            return ports
    raise SystemExit("cloud: found no free ports")


def is_free(port):
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
