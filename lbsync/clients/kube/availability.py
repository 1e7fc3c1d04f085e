"""One API server's reachability, shared by all reflectors that watch it.

Many reflectors, one server: when it is away they take turns, so that all of them together ask no
more often than one would, and one of them tells the log for all.
"""

import threading
import time

from lbsync import log
from lbsync.clients.kube.last_contact import LastContact
from lbsync.clients.kube.timing import Timing


class LineLimit:
    """At most so many lines in the log within some time, of all who share it. Thread-safe.

    Who loses the rights to a hundred namespaces has one trouble, and not a hundred.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._began = float("-inf")
        self._told = 0
        self._left_out: set[str] = set()

    def take(self, what: str) -> list[str] | None:
        """Return what was left out since the last line that was written; None: `what` is left out, too."""
        with self._lock:
            now = time.monotonic()
            if now - self._began >= self._seconds:
                self._began, self._told = now, 0
            if self._told >= self._most:
                self._left_out.add(what)
                return None
            self._told += 1
            left_out, self._left_out = self._left_out - {what}, set()
            return sorted(left_out)


class Availability:
    """Whether the server answers; thread-safe."""

    def __init__(self, server: str, timing: Timing) -> None:
        self._server = server
        self.last_contact = LastContact()
        """When the server was last heard by anybody."""
        self._timing = timing
        self.lines = LineLimit(timing.most_lines, timing.away_reminder)
        """For what the watches say of themselves, each in its own words."""
        self._changed = threading.Condition()
        # Until the first answer nobody knows: even the first requests take turns.
        self._doubted = True
        self._failing = log.Failing(
            "Kubernetes API server is away",
            "Kubernetes API server is back",
            reminders=(timing.away_reminder, timing.away_reminder),
            # Each resource says it in other words.
            each_message=False,
        )
        self._next_turn = 0.0
        self._recoveries = 0

    @property
    def away(self) -> str | None:
        """Why the server counts as away, or None when the last request was answered."""
        with self._changed:
            return self._failing.error or None

    def doubt(self) -> None:
        """A stream broke: take turns from now on, until a request is answered."""
        with self._changed:
            self._doubted = True

    def failed(self, detail: str) -> None:
        """A request was not answered. Logs the change of state, and a reminder now and then."""
        with self._changed:
            self._doubted = True
            self._failing.failed(detail, server=self._server)

    def answered(self) -> None:
        """A request was answered: whoever waits may try now."""
        with self._changed:
            if not self._doubted:
                return
            self._doubted = False
            self._recoveries += 1
            self._changed.notify_all()
            self._failing.recovered(server=self._server)

    def pause(self, seconds: float, stop: threading.Event) -> None:
        """Wait before the next request: `seconds`, and for a turn while the server is away.

        Ends early when the server is back, and when `stop` is set and `wake_waiters` called.
        """
        with self._changed:
            recoveries = self._recoveries
            due = time.monotonic() + seconds
            while not stop.is_set():
                now = time.monotonic()
                if self._recoveries != recoveries:
                    return
                if now >= due and (not self._doubted or now >= self._next_turn):
                    self._next_turn = now + self._timing.away_spacing
                    return
                left = max(due, self._next_turn if self._doubted else due) - now
                self._changed.wait(max(left, 0.001))

    def wake_waiters(self) -> None:
        """Let those who wait look at their `stop`."""
        with self._changed:
            self._changed.notify_all()
