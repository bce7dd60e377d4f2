"""The cloud's MariaDB: a data directory and a socket of its own, and nova's empty tables, which are made once and copied.

To make the tables takes 40 s. The copy is in target/cloud/template, for as long as the requirements stay what they are.
"""

import getpass
import shutil
import subprocess
import threading

import pymysql
import pymysql.cursors

from parts import Failed, Part, wait_until
from place import BIN, HERE

DATABASES = ("api", "cell0", "cell1", "placement")
# Nothing needs to survive the machine, and nothing is larger than its test.
OPTIONS = ("--no-defaults", "--skip-networking", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--max-connections=400",
           "--innodb-log-file-size=32M", "--innodb-buffer-pool-size=128M", "--performance-schema=OFF")


class Store:
    """A MariaDB, and questions to it."""

    def __init__(self, place):
        self.place, self.data, self.connections = place, place.run / "mariadb", threading.local()
        self.part = Part("mariadb", ["/usr/sbin/mariadbd", *OPTIONS, f"--user={getpass.getuser()}", f"--datadir={self.data}",
                                     f"--socket={place.database_socket}", f"--pid-file={place.run}/mariadb.pid"],
                         place.logs / "mariadb.log", ready=self.answers)

    def url(self, database):
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self.place.database_socket}&charset=utf8mb4"

    def connect(self):
        return pymysql.connect(unix_socket=str(self.place.database_socket), user="root", autocommit=True,
                               cursorclass=pymysql.cursors.DictCursor)

    def answers(self):
        try:
            self.connect().close()
            return True
        except pymysql.Error:
            return False

    def ask(self, statement, *values):
        """Runs a statement and returns its rows, each by column; on a connection of this thread's."""
        if not hasattr(self.connections, "mine"):
            self.connections.mine = self.connect()
        # Connects again where the database was started again.
        self.connections.mine.ping(reconnect=True)
        with self.connections.mine.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def stamp(self):
        return (HERE / "requirements.txt").read_text() + " ".join(OPTIONS)

    def prepare(self, settings):
        """Starts it with empty tables; makes those where there is no copy of them."""
        stamp = self.place.template / "stamp"
        if not stamp.exists() or stamp.read_text() != self.stamp():
            print("cloud: making nova's tables, once", flush=True)
            shutil.rmtree(self.place.template, ignore_errors=True)
            self.make(settings)
            self.part.stop()
            self.place.template.mkdir()
            shutil.copytree(self.data, self.place.template / "data")
            stamp.write_text(self.stamp())
            shutil.rmtree(self.data)
        shutil.copytree(self.place.template / "data", self.data)
        self.part.start()

    def make(self, settings):
        self.run("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db",
                 f"--datadir={self.data}", f"--user={getpass.getuser()}")
        self.part.start()
        self.part.wait_until_ready()
        for name in DATABASES:
            self.ask(f"create database {name} character set utf8mb4")
        # Neither broker nor place of this run: `settle` writes those of each.
        settings.write_controller("rabbit://nobody@127.0.0.1:1/")
        manage = [BIN / "nova-manage", "--config-file", settings.path("nova")]
        self.run(*manage, "api_db", "sync")
        self.run(*manage, "cell_v2", "map_cell0", "--database_connection", self.url("cell0"))
        placement = self.spawn(BIN / "placement-manage", "--config-file", settings.path("placement"), "db", "sync")
        self.run(*manage, "db", "sync")
        self.run(*manage, "cell_v2", "create_cell", "--name", "cell1")
        self.finish(placement)

    def settle(self, broker):
        """Tells the cells where their database and broker are this time."""
        for cell in ("cell0", "cell1"):
            self.ask("update api.cell_mappings set database_connection = %s where name = %s", self.url(cell), cell)
        self.ask("update api.cell_mappings set transport_url = %s where name = 'cell1'", broker)

    def spawn(self, *command):
        log = open(self.place.logs / "manage.log", "ab")
        return subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def finish(self, process):
        if process.wait():
            raise Failed(f"{' '.join(process.args)} failed; see {self.place.logs}/manage.log")

    def run(self, *command):
        self.finish(self.spawn(*command))

    def wait_for(self, statement, number, seconds, complaint):
        """Waits until a statement finds so many rows."""
        wait_until(lambda: len(self.ask(statement)) >= number, seconds, complaint)
