"""Whether anything was lost or doubled, by nova's database, placement's, and the logs of all services. Complains by name.

Of a server: one row, one creation, one deletion, one claim and one allocation, no fault, no request to build that is left over. Of a
message to a topic: who sent it logged its id, and who ran it did too; so each was run once, whatever stood between.
"""

import collections
import re

from parts import Failed, wait_until

# What oslo.messaging logs of a client and of a server. Only a call has a `msg_id`; what is polled from the listener is run.
SENT = re.compile(r"(CALL msg_id|CAST unique_id): (\w+) (?:exchange '(\S*)' )?(?:topic|FANOUT topic) '(\S+)'")
ANSWERED = re.compile(r"sending reply msg_id: (\w+) ")
POLLED = re.compile(r"Poll the incoming message with unique_id: (\w+)")
IGNORED = re.compile(r"ignoring duplicate message")
CLAIMED = re.compile(r"\[instance: ([\w-]+)\] Claim successful on node")
TERMINATED = re.compile(r"\[instance: ([\w-]+)\] Terminating instance")
SCHEDULED = re.compile(r'"PUT /allocations/([\w-]+)" status: 204')


class Ledger:
    def __init__(self, cloud):
        self.cloud = cloud

    def lines(self, *parts):
        for path in sorted(self.cloud.place.logs.glob("*.log")):
            if not parts or path.stem.startswith(parts):
                with open(path, errors="replace") as log:
                    yield from log

    def count(self, pattern, *parts):
        """How often each of what a pattern takes is in the logs of parts whose names begin so."""
        return collections.Counter(found[1] for line in self.lines(*parts) if (found := pattern.search(line)))

    def sent(self, topic):
        """What was sent to a topic, and to its servers and all of them: kind by id."""
        sent = {}
        for line in self.lines():
            if (found := SENT.search(line)) and (found[4] == topic or found[4].startswith(topic + ".")):
                sent[found[2]] = found[1].split()[0]
        return sent

    def messages(self, topic="conductor", server="conductor"):
        """How many were sent to a topic, and what is wrong with how often the server ran each."""
        sent = self.sent(topic)
        runs = self.count(ANSWERED, server) + self.count(POLLED, server)
        wrong = [f"{kind} {id} to {topic} was run {runs[id]} times" for id, kind in sent.items() if runs[id] != 1]
        return len(sent), wrong

    def check_messages(self, topic="conductor", server="conductor", seconds=20, served=lambda: 0):
        """Fails unless every message to a topic was run once: by the server or, so many as `served` says, by a handler in front of it.
        Waits for those on their way. Returns a summary.
        """
        seen = []

        def settled():
            sent, wrong = self.messages(topic, server)
            seen[:] = sent, wrong, int(served())
            return seen[2] == sum(complaint.endswith(" 0 times") for complaint in wrong)
        try:
            wait_until(settled, seconds, "", pause=1)
        except Failed:
            sent, wrong, elsewhere = seen
            complain(wrong + ([f"{elsewhere} messages were served by handlers"] if elsewhere else []))
        sent, wrong, elsewhere = seen
        complain([complaint for complaint in wrong if not complaint.endswith(" 0 times")])
        ignored = sum(bool(IGNORED.search(line)) for line in self.lines(server))
        return (f"{sent} messages to {topic}, each run once" + (f", {elsewhere} of them by a handler" if elsewhere else "")
                + (f" ({ignored} more copies were ignored)" if ignored else ""))

    def check_alive(self, boots, builds=1):
        """Fails unless every server is there once, and whole. `builds` is how often each may have been begun at most."""
        complain(self.servers(boots) + self.once(boots, "create") + self.requests(boots) + self.allocated(boots, 1) + self.claims(boots, builds))

    def check_gone(self, boots, builds=1):
        """Fails unless every server was made and removed once, and nothing of it is left."""
        wait_until(lambda: not self.allocated(boots, 0), 20, lambda: "; ".join(self.allocated(boots, 0)))
        ended = self.count(TERMINATED, "compute")
        complain(self.servers(boots) + self.once(boots, "create") + self.once(boots, "delete") + self.requests(boots) + self.claims(boots, builds)
                 + [f"{uuid} was terminated {ended[uuid]} times" for uuid in boots.ids if not 1 <= ended[uuid] <= builds])

    def servers(self, boots):
        """One row for each that was asked for, in the cell, and none beside."""
        rows = collections.Counter(row["uuid"] for row in boots.rows())
        asked = set(boots.ids)
        return ([f"{uuid} is lost: no cell has it" for uuid in boots.ids if not rows[uuid]]
                + [f"{uuid} is in {number} cells" for uuid, number in rows.items() if number > 1]
                + [f"{uuid} was made and never asked for" for uuid in rows if uuid not in asked])

    def of(self, boots, statement):
        """How often a statement finds each of the servers; it ends where a list of ids follows."""
        marks = ", ".join(["%s"] * len(boots.ids))
        rows = self.cloud.store.ask(f"{statement} ({marks})", *boots.ids)
        return collections.Counter(row["uuid"] for row in rows)

    def once(self, boots, action):
        """One action of a kind, and the event on the compute that goes with it, a success; no faults."""
        event = {"create": "compute__do_build_and_run_instance", "delete": "compute_terminate_instance"}[action]
        of_kind = f"select instance_uuid as uuid from cell1.instance_actions a where a.action = '{action}' and instance_uuid in"
        with_event = ("select instance_uuid as uuid from cell1.instance_actions a join cell1.instance_actions_events e on e.action_id = a.id "
                      f"where e.event = '{event}' and e.result = 'Success' and instance_uuid in")
        wrong = []
        for what, statement in ((f"actions {action}", of_kind), (f"successful events {event}", with_event)):
            found = self.of(boots, statement)
            wrong += [f"{uuid} has {found[uuid]} {what}" for uuid in boots.ids if found[uuid] != 1]
        faults = self.of(boots, "select instance_uuid as uuid from cell1.instance_faults where instance_uuid in")
        return wrong + [f"{uuid} has {number} faults" for uuid, number in faults.items()]

    def requests(self, boots):
        """No request to build is left, and every server has its cell."""
        left = self.of(boots, "select instance_uuid as uuid from api.build_requests where instance_uuid in")
        mapped = self.of(boots, "select instance_uuid as uuid from api.instance_mappings where cell_id is not null and instance_uuid in")
        return ([f"{uuid} has a build request that is left over" for uuid in left]
                + [f"{uuid} has {mapped[uuid]} cells" for uuid in boots.ids if mapped[uuid] != 1])

    def allocated(self, boots, number):
        """So many computes hold resources for each."""
        found = self.of(boots, "select distinct consumer_id as uuid, resource_provider_id from placement.allocations where consumer_id in")
        return [f"{uuid} holds resources of {found[uuid]} computes" for uuid in boots.ids if found[uuid] != number]

    def claims(self, boots, builds):
        """Each was scheduled, and built, once, or so many times."""
        claimed, scheduled = self.count(CLAIMED, "compute"), self.count(SCHEDULED, "placement")
        return [f"{uuid} was {what} {counted[uuid]} times" for what, counted in (("claimed", claimed), ("scheduled", scheduled))
                for uuid in boots.ids if not 1 <= counted[uuid] <= builds]


def complain(wrong):
    if wrong:
        more = f"\n  and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise Failed(f"{len(wrong)} things are wrong:\n  " + "\n  ".join(wrong[:20]) + more)
