#!/usr/bin/env python3
"""A real nova on this machine, for people and for `make cloud`.

    tests/cloud/cloud.py start [--computes N] [--driver CLASS] [--front none|binding|forwarder|host] [--notifications]
    tests/cloud/cloud.py run [--boots N] [STORY…]         all stories, or some; `make cloud`
    tests/cloud/cloud.py stories                          lists them

`start` says where things are and obeys lines on standard input, until that ends or ctrl-c:

    boot N [AT_ONCE]          boots servers, in the background
    wait                      waits until they are active, and looks whether anything is lost or doubled
    delete                    deletes them, and looks again
    kill|stop|start NAME      a part: SIGKILL, in order, again
    conductor EXCHANGE        the control exchange that the conductor has when it starts next (nova, nova_legacy)
    messages [TOPIC]          whether every message to a topic was run once
    bindings                  who gets what from nova and nova_legacy
    where                     where things are

Nothing outlives it. Logs are in target/cloud/logs. tests/setup.sh --cloud has installed what it needs, target/venv-cloud runs it.
"""

import argparse
import os
import signal
import sys

from place import BIN

if os.path.abspath(sys.prefix) != str(BIN.parent):
    if not BIN.exists():
        raise SystemExit("cloud: no nova in target/venv-cloud; run tests/setup.sh --cloud")
    os.execv(BIN / "python", [str(BIN / "python"), *sys.argv])

from console import Console  # noqa: E402
from host import in_front  # noqa: E402
from rig import DRIVER, Cloud  # noqa: E402
from stories import STORIES, run  # noqa: E402
import takeover  # noqa: E402

FRONTS = {"none": None, "binding": takeover.stand_in, "forwarder": takeover.forwarder, "host": in_front("host1")}


def end(number, _):
    """As ctrl-c, so that all is ended in order; a second signal must not come in between."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start")
    starting.add_argument("--computes", type=int, default=2)
    starting.add_argument("--driver", default=DRIVER, help="of the first compute; the others have %(default)s")
    starting.add_argument("--front", choices=FRONTS, default="none")
    starting.add_argument("--notifications", action="store_true")
    running = commands.add_parser("run")
    running.add_argument("--boots", type=int, default=100)
    running.add_argument("stories", nargs="*", metavar="STORY", help=", ".join(STORIES))
    commands.add_parser("stories")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)

    if options.command == "stories":
        for name, function in STORIES.items():
            print(f"{name:10} {function.__doc__.splitlines()[0]}")
    elif options.command == "run":
        unknown = set(options.stories) - set(STORIES)
        if unknown:
            raise SystemExit(f"cloud: no story is called {', '.join(unknown)}; there are {', '.join(STORIES)}")
        raise SystemExit(0 if run(options.stories or list(STORIES), options.boots) else 1)
    else:
        drivers = (options.driver,) + (DRIVER,) * (options.computes - 1)
        front = FRONTS[options.front]
        with Cloud("start", drivers, legacy=front is not None, notifications=options.notifications, aside=front) as cloud:
            Console(cloud).obey(sys.stdin)


if __name__ == "__main__":
    main()
