"""Stories of a cloud: what it is asked, what happens to it meanwhile, and that nothing is lost or doubled in the end.

A story is a function of the number of servers to boot; its first line says what it shows. It raises `Failed` where that is not so.
"""

import json
import os

from api import Api
from boots import Boots, Meanwhile
from host import at_the_alternate, in_front
from ledger import Ledger
from parts import Failed, wait_until
from rig import DRIVER, Cloud
from stubs import IMAGE_ID
import takeover

RESCHEDULES = "fake.FakeRescheduleDriver"
# A method of the conductor's that a handler of ours has, and that a cast of every rescheduled boot asks for.
BUILD = "compute_task.build_instances"
CLASS_ACTION = "object_class_action_versions"
# All that it has of what is asked here.
MOVED = ("baseapi.ping", CLASS_ACTION, BUILD, "compute_task.cache_images")
# What computes ask for most, beside writes: a row of the database by the conductor. How often it is asked for in each turn of `compared`.
READ = {"objname": "Service", "objmethod": "get_by_compute_host", "args": ["compute1"], "kwargs": {}, "object_versions": {"Service": "1.22"}}
CALLS = 300
# What a host counts of requests, by method and by where they went.
REQUESTS = "nova_host_forward_requests_total"
STORIES = {}


def story(function):
    STORIES[function.__name__] = function
    return function


def say(text):
    print(f"  {text}", flush=True)


def boot_and_delete(cloud, number, during=None, builds=1):
    """Boots and deletes servers, does something meanwhile, and looks whether all is in order."""
    boots, ledger = Boots(cloud, "server"), Ledger(cloud)
    with Meanwhile(boots, number) as meanwhile:
        if during:
            during(meanwhile)
    say(boots.summary())
    ledger.check_alive(boots, builds)
    boots.delete()
    ledger.check_gone(boots, builds)
    fallen = cloud.parts.have_fallen()
    if fallen:
        raise Failed(f"ended by themselves: {', '.join(fallen)}; see {cloud.place.logs}")
    return boots


@story
def plain(number):
    """Nova alone, its Python conductor where it always was: the base line."""
    with Cloud("plain") as cloud:
        boot_and_delete(cloud, number)
        say(Ledger(cloud).check_messages())


@story
def noticed(number):
    """What is lost or doubled is noticed: the ledger that all stories end with sees what is done on purpose here."""
    with Cloud("noticed", legacy=True, aside=takeover.forwarder, conductors=2) as cloud:
        ledger = Ledger(cloud)
        # As a conductor does that starts with its old configuration: now the queue gets what the forwarder gets as well.
        cloud.broker.bind("nova", "conductor", "conductor")
        for name in range(4):
            Boots(cloud, "doubled").post(f"doubled-{name}")
        expect("run 2 times", lambda: ledger.check_messages(seconds=10))
        # Nobody stands there any more: the API is told nothing of it.
        takeover.clear(cloud.broker)
        boots = Boots(cloud, "lost")
        boots.post("lost-0")
        expect("run 0 times", lambda: ledger.check_messages(seconds=1))
        expect(f"{boots.ids[0]} is lost", lambda: ledger.check_alive(boots))
        expect("neither succeeded nor failed", lambda: boots.boot(1, patience=1))


def expect(complaint, look):
    """Fails unless a look fails, with this complaint."""
    try:
        look()
    except Failed as error:
        if complaint in str(error):
            return say(f"noticed: {str(error).splitlines()[-1].strip()}")
        raise
    raise Failed(f"it was not noticed that something {complaint}")


@story
def bound(number):
    """The Python conductor on its own exchange; the broker's own bindings stand where it stood."""
    with Cloud("bound", legacy=True, aside=takeover.stand_in) as cloud:
        boot_and_delete(cloud, number)
        say(Ledger(cloud).check_messages())


@story
def reference(number):
    """The same with a forwarder that is killed five times: the reference of what a host must do."""
    with Cloud("reference", legacy=True, aside=takeover.forwarder) as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: kill(cloud, ["forwarder"], meanwhile, number))
        say(Ledger(cloud).check_messages())


@story
def rested(number):
    """A forwarder in front, while the Python conductor behind it comes to rest, stops and starts again, twice."""
    with Cloud("rested", legacy=True, aside=takeover.forwarder) as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: restart(cloud, "conductor", meanwhile, number))
        say(Ledger(cloud).check_messages())


@story
def moved(number):
    """A forwarder comes in front of a conductor that serves, both ways and again, three times while boots go on."""
    with Cloud("moved") as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: move(cloud, meanwhile, number))
        say(Ledger(cloud).check_messages())


def move(cloud, meanwhile, number, times=3):
    started = lambda cloud, exchange: None if "forwarder" in cloud.parts.by_name else takeover.forwarder(cloud, exchange)
    for time in range(times):
        meanwhile.wait_for(number * (2 * time + 1) // (2 * times + 2))
        takeover.move(cloud, started)
        meanwhile.wait_for(number * (2 * time + 2) // (2 * times + 2))
        takeover.move_back(cloud)
    say(f"moved aside and back {times} times; {cloud.broker.queue('forwarder.conductor')['message_stats']['publish']} requests went by the forwarder")


@story
def forwarded(number):
    """All of the conductor's traffic passes through Nova Host, forwarded."""
    with Cloud("forwarded", legacy=True, aside=in_front("host1")) as cloud:
        boot_and_delete(cloud, number)
        say(Ledger(cloud).check_messages())
        forwarded, sent = cloud.hosts["host1"].counted(REQUESTS, side="forwarded"), len(Ledger(cloud).sent("conductor"))
        # A message may come between the two questions.
        if not sent - 5 <= forwarded <= sent + 5:
            raise Failed(f"the host forwarded {forwarded:.0f} of {sent} messages")


@story
def fronted(number):
    """Two hosts are put before a conductor that serves, by `nova-host forward`, and taken away again, three times while boots go on."""
    with Cloud("fronted", legacy=True, aside=at_the_alternate("host1", "host2")) as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: front(cloud, meanwhile, number))
        say(Ledger(cloud).check_messages())


def front(cloud, meanwhile, number, times=3):
    host = cloud.hosts["host1"]
    for time in range(times):
        meanwhile.wait_for(number * (2 * time + 1) // (2 * times + 2))
        host.command("forward", "undo")
        before = counted(cloud)
        meanwhile.wait_for(number * (2 * time + 2) // (2 * times + 2))
        # What came before the change may still have been underway.
        if counted(cloud) > before + 20:
            raise Failed(f"{counted(cloud) - before} requests came by the hosts that were not in front")
        host.command("forward", "prepare")
    say(f"taken away and put back {times} times; {counted(cloud):.0f} requests went by the hosts")


def counted(cloud):
    return sum(host.counted(REQUESTS, side="forwarded") for host in cloud.hosts.values())


@story
def killed(number):
    """The same with two hosts, which are killed (SIGKILL) in turns, five times."""
    with Cloud("killed", legacy=True, aside=in_front("host1", "host2")) as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: kill(cloud, ["host1", "host2"], meanwhile, number))
        say(Ledger(cloud).check_messages())


def kill(cloud, names, meanwhile, number, times=5):
    """Kills parts in turns, each when some more boots are over, and starts each again."""
    for time in range(times):
        meanwhile.wait_for(number * (time + 1) // (times + 2))
        name = names[time % len(names)]
        cloud.parts[name].kill()
        cloud.parts.start(name)
    if meanwhile.finished >= number:
        raise Failed("the boots were over before the last kill: boot more servers")
    say(f"killed {', '.join(names)} {times} times in all")


@story
def restarted(number):
    """Nova Host in front, while the Python conductor behind it comes to rest, stops and starts again, twice."""
    with Cloud("restarted", legacy=True, aside=at_the_alternate("host1")) as cloud:
        boot_and_delete(cloud, number, during=lambda meanwhile: restart(cloud, "conductor", meanwhile, number))
        say(Ledger(cloud).check_messages())


def restart(cloud, name, meanwhile, number, times=2):
    for time in range(times):
        meanwhile.wait_for(number * (time + 1) // (times + 2))
        with takeover.rest(cloud):
            cloud.parts[name].stop()
            cloud.parts.start(name)
    say(f"restarted {name} {times} times")


@story
def switched(number):
    """A method goes from the Python conductor to a handler and back, twenty times, while boots ask for it."""
    drivers = (RESCHEDULES, DRIVER, DRIVER)
    with Cloud("switched", drivers, legacy=True, aside=in_front("host1")) as cloud:
        host = cloud.hosts["host1"]
        boot_and_delete(cloud, number, builds=2, during=lambda meanwhile: switch(host, BUILD, meanwhile, number))
        check_sides(cloud, host, [BUILD])


def switch(host, method, meanwhile, number, times=20):
    for time in range(times):
        meanwhile.wait_for(number * (time + 1) // (times + 2))
        host.command("forward", "set", method, "serve" if time % 2 == 0 else "forward")
    say(f"switched {method} {times} times")


@story
def served(number):
    """What a handler has of the conductor's is served by it, and the Python conductor has the rest, what the handler declines among it."""
    drivers = (RESCHEDULES, DRIVER, DRIVER)
    with Cloud("served", drivers, legacy=True, aside=in_front("host1", methods={})) as cloud:
        cache_image(cloud)
        boot_and_delete(cloud, number, builds=2)
        host = cloud.hosts["host1"]
        check_sides(cloud, host, MOVED)
        declined = host.counted(REQUESTS, method=CLASS_ACTION, side="forwarded")
        if not declined:
            raise Failed(f"nothing was declined of {CLASS_ACTION}")
        say(f"{CLASS_ACTION}: {declined:.0f} declined")
        compare_answers(cloud, host)


@story
def exhausted(number):
    """Builds that no host is left for: the handler tries the last one, and leaves what comes then to the Python conductor, which tells the API."""
    with Cloud("exhausted", (RESCHEDULES, RESCHEDULES), legacy=True, aside=in_front("host1", methods={})) as cloud:
        host, boots, ledger = cloud.hosts["host1"], Boots(cloud, "server"), Ledger(cloud)
        number = min(number, 10)
        for one in range(number):
            boots.post(f"server-{one}")
        wait_until(lambda: len(boots.ended()) == number, 120, lambda: f"neither active nor in error: {boots.unfinished()}")
        for uuid in boots.ids:
            server = boots.api.ask("GET", f"/servers/{uuid}")["server"]
            if server["status"] != "ERROR" or "Exhausted all hosts" not in server.get("fault", {}).get("message", ""):
                raise Failed(f"{uuid} is {server['status']}: {server.get('fault')}")
        say(ledger.check_messages(served=lambda: host.counted(REQUESTS, side="served")))
        sides = {side: host.counted(REQUESTS, method=BUILD, side=side) for side in ("served", "forwarded")}
        if sides != {"served": number, "forwarded": number}:
            raise Failed(f"each of {number} builds was to be served once and left to the conductor once, and was so: {sides}")
        wait_until(lambda: not ledger.allocated(boots, 0), 20, lambda: "; ".join(ledger.allocated(boots, 0)))
        boots.delete()
        say(f"{number} servers were in ERROR, by {BUILD}: {sides['served']:.0f} served, {sides['forwarded']:.0f} declined")


def cache_image(cloud):
    """Asks the API to have an image fetched by all computes, and waits until each has been asked to, once."""
    api = Api(cloud.place.url("api"))
    aggregate = f"/os-aggregates/{api.ask('POST', '/os-aggregates', {'aggregate': {'name': 'all'}})['aggregate']['id']}"
    for name in cloud.drivers:
        api.ask("POST", f"{aggregate}/action", {"add_host": {"host": name}})
    api.ask("POST", f"{aggregate}/images", {"cache": [{"id": IMAGE_ID}]})
    asked = lambda: {name: sum("Caching 1 image(s) by request" in line for line in Ledger(cloud).lines(name)) for name in cloud.drivers}
    wait_until(lambda: all(asked().values()), 60, lambda: f"computes were asked to fetch an image: {asked()}")
    if set(asked().values()) != {1}:
        raise Failed(f"computes were asked to fetch an image: {asked()}")
    say(f"{len(cloud.drivers)} computes were asked to fetch an image, once each")


def compare_answers(cloud, host):
    """What the handler answers of an object's class is what the conductor answers, to the last key."""
    for version in ("1.0", "1.1"):
        answers = {}
        for side in ("forward", "serve"):
            host.command("forward", "set", CLASS_ACTION, side)
            before = host.counted(REQUESTS, method=CLASS_ACTION, side="served")
            answers[side] = cloud.ask_conductor(CLASS_ACTION, "3.0", {
                "objname": "ShareMappingList", "objmethod": "get_by_instance_uuid", "args": [IMAGE_ID], "kwargs": {},
                "object_versions": {"ShareMappingList": version, "ShareMapping": "1.0"}})
            if side == "serve" and host.counted(REQUESTS, method=CLASS_ACTION, side="served") == before:
                raise Failed("the handler did not serve what it was to be compared by")
        if answers["serve"] != answers["forward"]:
            raise Failed(f"the handler answers {answers['serve']}, the conductor {answers['forward']}")
        say(f"ShareMappingList {version}: handler and conductor both answer {answers['serve']}")


def check_sides(cloud, host, methods):
    """Every message was run once, by the conductor or by the host, which has served these methods and no others."""
    all_of_them = lambda: host.counted(REQUESTS, side="served")
    say(Ledger(cloud).check_messages(served=all_of_them))
    counted = lambda: {method: host.counted(REQUESTS, method=method, side="served") for method in methods}
    # A request may come between two questions.
    wait_until(lambda: sum(counted().values()) == all_of_them(), 10, lambda: f"of {all_of_them():.0f} requests that were served, these were: {counted()}")
    if not all(counted().values()):
        raise Failed(f"not all of what a handler has was served: {counted()}")
    say("served: " + ", ".join(f"{method} {number:.0f}" for method, number in counted().items()))


@story
def compared(number):
    """What a boot takes with Nova Host in front and without, in turns, in one cloud."""
    with Cloud("compared", legacy=True, aside=in_front("host1")) as cloud:
        compare(cloud, number, "host1")


def compare(cloud, number, name, rounds=4):
    """Boots with a part in front of the conductor and with the broker's bindings in its place, in turns, one server at a time."""
    with_it, without = ([], []), ([], [])
    for turn in range(rounds):
        for (seconds, calls), is_there in ((with_it, True), (without, False)):
            boots = Boots(cloud, f"turn{turn}-{'with' if is_there else 'without'}")
            if is_there and not cloud.parts[name].process:
                takeover.clear(cloud.broker)
                cloud.parts.start(name)
            elif not is_there:
                cloud.parts[name].stop()
                takeover.clear(cloud.broker)
                takeover.stand_in(cloud)
            boots.boot(number // rounds // 2, at_once=1)
            boots.delete()
            seconds += boots.seconds.values()
            calls += json.loads(cloud.ask_conductor(CLASS_ACTION, "3.0", READ, [CALLS]))
    for what, both in (("with", with_it), ("without", without)):
        for kind, seconds in zip(("boots", "reads of a service's row"), both):
            seconds.sort()
            p50, p99 = (seconds[min(len(seconds) - 1, len(seconds) * percent // 100)] for percent in (50, 99))
            say(f"{what:8} {name}: {len(seconds)} {kind}, p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms")
    say(Ledger(cloud).check_messages())


def run(names, number):
    """Runs stories by name, and says which failed; returns whether all passed."""
    failed = []
    for name in names:
        print(f"cloud: {name}: {STORIES[name].__doc__.splitlines()[0]}", flush=True)
        try:
            STORIES[name](number)
        except Failed as error:
            failed.append(name)
            print(f"cloud: {name} FAILED; logs in {os.path.relpath('target/cloud/logs')}/{name}\n{error}", flush=True)
    passed = len(names) - len(failed)
    print(f"cloud: {passed} passed, {len(failed)} failed", flush=True)
    return not failed
