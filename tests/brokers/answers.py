#!/usr/bin/env python3
"""Provokes what RabbitMQ may say, and prints what it says, as a table: a row for each provocation, its column by version.

    make answers                                        on every version; target/rabbitmq-answers.md
    target/venv/bin/python tests/brokers/answers.py [--only TEXT] VERSION…

Each provocation has a virtual host and a connection of its own. What a broker's configuration decides is set low, so that
a limit is met at once: messages of 1 MiB, acknowledgements within 10 s.
"""

import argparse
import sys

# Each registers its own, in the order of the table.
import access  # noqa: F401
import things  # noqa: F401
import traffic  # noqa: F401
import features  # noqa: F401
import nodes  # noqa: F401
from stage import PROVOCATIONS, Broker, Scene

COMMON = """
max_message_size = 1048576
consumer_timeout = 10000
"""


def run(version, only):
    """What one version says: by title, a list of events."""
    said, release = {}, version
    for setting, nodes in dict.fromkeys((setting, nodes) for _, setting, nodes, _, _ in PROVOCATIONS):
        chosen = [(title, function) for title, s, n, versions, function in PROVOCATIONS
                  if (s, n) == (setting, nodes) and version in versions and only in title]
        if not chosen:
            continue
        try:
            broker = Broker(version, setting if setting.startswith("#plain") else COMMON + setting + "\n", nodes)
            release = broker.release
        except Exception as error:
            for title, _ in chosen:
                said[title] = [f"(no broker: {error!r})"]
            continue
        for title, function in chosen:
            scene = None
            try:
                scene = Scene(broker)
                said[title] = function(scene) or ["nothing"]
            except Exception as error:
                said[title] = [f"(not provoked: {error!r})"]
            finally:
                if scene:
                    scene.end()
            print(f"{release} {title}: {'; '.join(said[title])}", file=sys.stderr, flush=True)
        broker.end()
    return release, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("versions", nargs="+")
    options = parser.parse_args()
    answers = [run(version, options.only) for version in options.versions]
    for title, *_ in PROVOCATIONS:
        rows = [(release, said[title]) for release, said in answers if title in said]
        if not rows:
            continue
        print(f"### {title}\n")
        texts = ["; ".join(events) for _, events in rows]
        if len(rows) > 1 and len(set(texts)) == 1:
            print(f"* all: {texts[0]}")
        else:
            for (release, _), text in zip(rows, texts):
                print(f"* {release}: {text}")
        print()


if __name__ == "__main__":
    main()
