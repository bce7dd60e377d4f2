"""Boots servers through nova-api, measures each, and deletes them again.

A boot ends when the database has the server as active or in error, which is looked at every 20 ms: to ask the API that often would
measure the asking. That the API says the same is asked once, at the end.
"""

import threading
import time

from api import Api
from parts import Failed, wait_until
from stubs import IMAGE_ID

FLAVOR = {"flavor": {"name": "small", "ram": 1, "vcpus": 1, "disk": 0, "id": "1"}}
LOOK = 0.02


class Boots:
    """Servers of one run, told by the beginning of their names."""

    def __init__(self, cloud, name):
        self.cloud, self.name, self.api = cloud, name, Api(cloud.place.url("api"))
        self.began, self.seconds, self.ids, self.is_given_up = {}, {}, [], False
        if not self.api.ask("GET", "/flavors")["flavors"]:
            self.api.ask("POST", "/flavors", FLAVOR)

    def boot(self, number, at_once=4, patience=180, gate=None):
        """Boots servers, so many of them at once, and waits until each is active or in error; fails unless all are active.

        `gate` is called with the number of those that came to an end, whenever one more did.
        """
        states, asked, reported = {}, 0, 0
        deadline = time.monotonic() + patience + number
        while len(states) < number:
            while asked < number and asked - len(states) < at_once:
                self.post(f"{self.name}-{asked}")
                asked += 1
            time.sleep(LOOK)
            states = self.ended()
            if gate and len(states) > reported:
                reported = len(states)
                gate(reported)
            if self.is_given_up:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{number - len(states)} of {number} boots neither succeeded nor failed: {self.unfinished()}")
        self.complain(states)

    def post(self, name):
        body = {"server": {"name": name, "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "none"}}
        began = time.monotonic()
        uuid = self.api.ask("POST", "/servers", body)["server"]["id"]
        self.began[uuid] = began
        self.ids.append(uuid)

    def rows(self):
        """The rows of our servers; a server that no host took is in cell0."""
        select = "select uuid, vm_state, task_state, deleted from {}.instances where display_name like %s"
        return [row for cell in ("cell1", "cell0") for row in self.cloud.store.ask(select.format(cell), f"{self.name}-%")]

    def ended(self):
        """State by id of those that came to an end, and notes when."""
        now = time.monotonic()
        states = {row["uuid"]: row["vm_state"] for row in self.rows() if row["vm_state"] in ("active", "error")}
        for uuid in states:
            if uuid in self.began:
                self.seconds.setdefault(uuid, now - self.began[uuid])
        return states

    def unfinished(self):
        return ", ".join(f"{row['uuid']} {row['vm_state']}/{row['task_state']}" for row in self.rows() if row["uuid"] not in self.seconds)

    def complain(self, states):
        errors = [uuid for uuid, state in states.items() if state != "active"]
        if errors:
            faults = [self.api.ask("GET", f"/servers/{uuid}")["server"].get("fault", {}).get("message") for uuid in errors]
            raise Failed(f"{len(errors)} boots failed: " + "; ".join(f"{uuid}: {why}" for uuid, why in zip(errors, faults)))
        listed = {server["id"]: server["status"] for server in self.listed()}
        wrong = [f"{uuid} is {listed.get(uuid)}" for uuid in self.ids if listed.get(uuid) != "ACTIVE"]
        if wrong:
            raise Failed("the API does not show as ACTIVE: " + ", ".join(wrong))

    def listed(self):
        return self.api.ask("GET", f"/servers/detail?limit=1000&name=^{self.name}-")["servers"]

    def delete(self, patience=180, at_once=8):
        """Deletes all, and waits until they are gone."""
        left = list(self.ids)
        deadline = time.monotonic() + patience + len(left)
        gone, asked = set(), 0
        while len(gone) < len(left):
            while asked < len(left) and asked - len(gone) < at_once:
                self.api.ask("DELETE", f"/servers/{left[asked]}")
                asked += 1
            time.sleep(LOOK)
            gone = {row["uuid"] for row in self.rows() if row["deleted"]}
            if time.monotonic() > deadline:
                raise Failed(f"not deleted: {', '.join(sorted(set(left) - gone))}")
        wait_until(lambda: not self.listed(), 10, "the API lists servers that are deleted")

    def percentile(self, percent):
        """Seconds that so many percent of the boots took at most."""
        ordered = sorted(self.seconds.values())
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    def summary(self):
        return f"{len(self.seconds)} boots, p50 {self.percentile(50):.2f} s, p99 {self.percentile(99):.2f} s"


class Meanwhile:
    """Boots in a thread, while the caller does things to the cloud; raises what went wrong there when it is left."""

    def __init__(self, boots, number, **how):
        self.error, self.finished, self.boots = None, 0, boots
        self.thread = threading.Thread(target=self.run, args=(number,), kwargs=how)

    def run(self, number, **how):
        try:
            self.boots.boot(number, gate=self.count, **how)
        except BaseException as error:
            self.error = error

    def count(self, finished):
        self.finished = finished

    def wait_for(self, number, seconds=180):
        """Waits until so many boots have come to an end, or all are over."""
        wait_until(lambda: self.finished >= number or not self.thread.is_alive(), seconds,
                   lambda: f"only {self.finished} boots ended; waited for {number}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        # Nobody waits for boots after a failure, or ctrl-c.
        self.boots.is_given_up = kind is not None
        self.thread.join()
        if self.error and not kind:
            raise self.error
