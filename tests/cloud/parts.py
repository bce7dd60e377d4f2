"""The processes of a cloud, by name: start, stop, kill. Nothing outlives the process that started it.

Each is the leader of a process group of its own, so that ctrl-c at a terminal reaches only us, who end all in order, and that
a service dies with its workers. A part whose starter is killed is killed by the kernel (PR_SET_PDEATHSIG); nova's workers see that.
"""

import concurrent.futures
import ctypes
import os
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
# The kernel sends that signal when the thread ends that started the process, so one thread starts all, and stays.
STARTER = concurrent.futures.ThreadPoolExecutor(1, "starter")
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What went wrong, and where to read on."""


class Part:
    """A process that can be started again."""

    def __init__(self, name, command, log, environment=(), directory=None, ready=None):
        self.name, self.command, self.log = name, [str(word) for word in command], log
        self.environment, self.directory, self.ready = dict(environment), directory, ready
        self.process, self.stopped_by_us = None, True

    def start(self):
        if self.process:
            raise Failed(f"{self.name} runs already, as {self.process.pid}")
        self.process = STARTER.submit(self._spawn).result()
        self.stopped_by_us = False

    def _spawn(self):
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=dict(os.environ, **self.environment), start_new_session=True,
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def has_ended(self):
        """Whether the process is no more. Its number stays taken until it is reaped, so that of its group is safe to use."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def wait_until_ready(self, seconds=60):
        """Waits for what `ready` says; fails at once where the process ends."""
        if self.ready:
            wait_until(self.is_ready, seconds, f"{self.name} is not ready; see {self.log}")

    def is_ready(self):
        if self.process and self.has_ended():
            raise Failed(f"{self.name} has ended; see {self.log}:\n{tail(self.log)}")
        return self.ready()

    def stop(self, seconds=30):
        """Ends it in order; kills what is left then."""
        if not self.process:
            return
        self.stopped_by_us = True
        if not self.has_ended():
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            wait_until(self.has_ended, seconds, "")
        except Failed:
            pass
        self.kill()

    def kill(self):
        """Ends it with its workers as a power cut does."""
        if not self.process:
            return
        self.stopped_by_us = True
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def signal(self, number):
        """Sends a signal to all of its processes."""
        os.killpg(self.process.pid, number)


class Parts:
    """All parts of a cloud, in the order in which they were started."""

    def __init__(self):
        self.by_name = {}

    def add(self, part):
        self.by_name[part.name] = part
        return part

    def __getitem__(self, name):
        if name not in self.by_name:
            raise Failed(f"no part is called {name}; there are {', '.join(self.by_name)}")
        return self.by_name[name]

    def start(self, *names):
        """Starts parts together and waits for all."""
        for name in names:
            self[name].start()
        for name in names:
            self[name].wait_until_ready()

    def have_fallen(self):
        """The parts that ended although nobody ended them."""
        running = [part for part in self.by_name.values() if part.process]
        return [part.name for part in running if part.has_ended()]

    def end(self):
        """Kills all: nobody needs what they hold."""
        for part in reversed(self.by_name.values()):
            part.kill()


def wait_until(condition, seconds, complaint, pause=0.05):
    """Waits until a condition holds, and returns what it says; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()):
        if time.monotonic() > deadline:
            raise Failed(complaint() if callable(complaint) else complaint)
        time.sleep(pause)
    return holds


def tail(path, lines=15):
    """The last lines of a log."""
    with open(path, errors="replace") as file:
        return "".join(file.readlines()[-lines:])
