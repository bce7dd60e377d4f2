"""The lines that `cloud.py start` obeys, each answered with some lines, the last of which is `done` or begins with `failed`."""

from boots import Boots, Meanwhile
from ledger import Ledger
from parts import Failed
from settings import LEGACY


class Console:
    def __init__(self, cloud):
        self.cloud, self.ledger, self.boots, self.meanwhile, self.runs = cloud, Ledger(cloud), None, None, 0

    def obey(self, lines):
        print(self.cloud.where(), flush=True)
        for line in lines:
            words = line.split()
            if not words:
                continue
            try:
                command = getattr(self, f"do_{words[0]}", None)
                if not command:
                    raise Failed("there are " + " ".join(sorted(name[3:] for name in dir(self) if name.startswith("do_"))))
                said = command(*words[1:])
                print(f"{said}\ndone" if said else "done", flush=True)
            except (Failed, TypeError, ValueError) as error:
                print(f"failed: {error}", flush=True)

    def do_where(self):
        return self.cloud.where()

    def do_boot(self, number, at_once="4"):
        if self.meanwhile:
            raise Failed("boots go on; wait first")
        self.runs += 1
        self.boots = Boots(self.cloud, f"run{self.runs}")
        self.meanwhile = Meanwhile(self.boots, int(number), at_once=int(at_once))
        self.meanwhile.__enter__()

    def do_wait(self):
        meanwhile, self.meanwhile = self.meanwhile, None
        if not meanwhile:
            raise Failed("nothing boots")
        meanwhile.__exit__(None)
        self.ledger.check_alive(self.boots, builds=len(self.cloud.drivers))
        return self.boots.summary()

    def do_delete(self):
        if self.meanwhile:
            raise Failed("boots go on; wait first")
        self.boots.delete()
        self.ledger.check_gone(self.boots, builds=len(self.cloud.drivers))

    def do_kill(self, name):
        self.cloud.parts[name].kill()

    def do_stop(self, name):
        self.cloud.parts[name].stop()

    def do_start(self, name):
        self.cloud.parts.start(name)

    def do_conductor(self, exchange, name="conductor"):
        self.cloud.settings.write_conductor(name, exchange)

    def do_messages(self, topic="conductor"):
        return self.ledger.check_messages(topic, topic.split("-")[0])

    def do_bindings(self):
        return "\n".join(f"{source} {key} -> {destination}" for source in ("nova", LEGACY)
                         for destination, key in self.cloud.broker.bindings(source))
