"""Keeps a store of one kind of object up to date: when to list, when to watch, how to recover.

One thread each. A turn is either a list or a watch; every failure ends the turn, and decides how
long to wait and whether the next turn lists again or continues from the last version seen. There is no
other way to recover, so that the one used every five minutes is the one that has to work.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from lbsync import log
from lbsync.backoff import Backoff, doubled
from lbsync.clients.kube.api import Client
from lbsync.clients.kube.availability import Availability
from lbsync.clients.kube.errors import (
    ApiUnavailable,
    Expired,
    StreamBroken,
    StreamFaulty,
    Unauthorized,
)
from lbsync.clients.kube.health import Health, WatchHealth
from lbsync.clients.kube.kinds import Kind
from lbsync.clients.kube.last_contact import LastContact
from lbsync.clients.kube.list_watch import ListWatch
from lbsync.clients.kube.resource_version import Stats
from lbsync.clients.kube.store import Change, Store
from lbsync.clients.kube.timing import Timing
from lbsync.errors import LbsyncError, Rejected
from lbsync.threads import SupervisedThread

T = TypeVar("T")


class _Listing:
    """Whether the store holds everything, and when to list again."""

    def __init__(self) -> None:
        self.is_complete = False
        """There was a complete list; the store may be stale since."""
        self.is_required = True
        """Nothing else can bring the store up to date."""
        self._check_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to list now: because it is required, or to compare."""
        return self.is_required or time.monotonic() >= self._check_at

    def done(self, check_in_s: float) -> None:
        """Note a complete list; the next one is due in `check_in_s` seconds."""
        self.is_complete, self.is_required = True, False
        self._check_at = time.monotonic() + check_in_s


class Reflector(Generic[T]):
    """The objects of one kind, of all namespaces or of one, that match a label selector."""

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        on_change: Callable[[Change[T]], None],
        *,
        namespace: str | None = None,
        selector: str = "",
        availability: Availability | None = None,
        timing: Timing | None = None,
        on_state: Callable[[], None] = lambda: None,
        is_needed: bool = True,
    ) -> None:
        """`client` is this reflector's own and is closed with it; `availability` is shared by all of one
        server. `on_change`, and `on_state` (synced, or health changed), are called from the
        reflector's thread; they must not block and must not raise."""
        self.kind = kind
        self.namespace = namespace
        self._list_watch = ListWatch(client, kind, namespace, selector, on_change)
        self._client = client
        self._on_state = on_state
        self._timing = timing or Timing()
        self._availability = availability or Availability(client.config.server, self._timing)
        self._condition = WatchHealth(
            self.name, self._timing, on_state, self._availability.lines, is_needed=is_needed
        )
        self._backoff = Backoff(
            self._timing.backoff_first, self._timing.backoff_cap, spread=(0.5, 1.5)
        )
        self._stop = threading.Event()
        self._listing = _Listing()
        self._dropped = ""
        self._thread = SupervisedThread(self._run, f"watch {self.name}", on_fault=self._failed)

    @property
    def name(self) -> str:
        """For messages, and to tell the watches of one cluster apart."""
        return self._list_watch.name

    @property
    def store(self) -> Store[T]:
        """What is known; complete once `synced`."""
        return self._list_watch.store

    @property
    def stats(self) -> Stats:
        """The counters; read only."""
        return self._list_watch.stats

    @property
    def synced(self) -> bool:
        """True from the first complete list on. The store may be stale later: see `health`."""
        return self._listing.is_complete

    def health(self) -> Health:
        """Return whether the watch is open; if not, why and since when."""
        now = self._condition.now
        if self._thread.is_started and not self._thread.is_alive():
            return Health(ok=False, detail=f"{self.name}: ended", since=now.since)
        return now

    @property
    def told(self) -> float:
        """When `health` was last said anew (monotonic): the newest of several reasons is the true one."""
        return self._condition.changed_at

    @property
    def refusal(self) -> str:
        """Why the server refuses this account (403), or has nothing of the kind (404), said twice in a
        row; empty: it does not. What is known stays in the store meanwhile."""
        return self._condition.refusal

    @property
    def last_contact(self) -> LastContact:
        """When the server was last heard here."""
        return self._client.last_contact

    @property
    def has_bookmarks(self) -> bool:
        """True once the server has sent a bookmark; it then sends one about each minute."""
        return self._list_watch.bookmarked

    def drop(self, why: str) -> None:
        """End the stream that is open, and whatever else is asked for: it has fallen silent.

        From any thread; the reflector goes on as after any broken stream.
        """
        self._dropped = why
        self._client.drop()

    def start(self) -> None:
        """Start the thread that lists and watches. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Begin to end, without waiting: several can then end at the same time."""
        self._stop.set()
        self._thread.stop()
        self._client.close()
        self._availability.wake_waiters()

    def close(self) -> None:
        """End the watch and its thread. May be called twice."""
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while True:
            self._availability.pause(pause, self._stop)
            if self._stop.is_set():
                return
            pause = self._turn()

    def _turn(self) -> float:
        """List or watch once; return how long to wait before the next turn, in seconds."""
        try:
            if self._listing.is_due:
                self._list()
                return 0.0
            return self._watch()
        except LbsyncError as error:
            return 0.0 if self._stop.is_set() else self._after(error)

    def _list(self) -> None:
        is_first = not self._listing.is_complete
        self._list_watch.take_list(check=not self._listing.is_required)
        self._availability.answered()
        self._listing.done(random.uniform(*self._timing.relist))
        if is_first:
            log.get().info("listed", resource=self.name, objects=len(self.store))
            self._on_state()

    def _watch(self) -> float:
        started, events = time.monotonic(), self.stats.events
        try:
            seconds = random.uniform(*self._timing.watch)
            if not self.has_bookmarks:
                seconds = min(seconds, self._timing.watch_unproved)
            self._list_watch.follow(seconds, self._opened)
            lived = time.monotonic() - started
            if not self._condition.ended(lived, self.stats.events - events):
                self._listing.is_required = True
        except StreamFaulty as error:
            # Nothing is learnt from the watch: list instead of it, until there is one again.
            self._listing.is_required = True
            self._condition.useless(str(error))
        except StreamBroken as error:
            self._doubt(str(error))
        finally:
            lived = time.monotonic() - started
            if lived >= self._timing.settled:
                self._backoff.reset()
        if self._dropped:
            self._doubt(f"{self.name}: {self._dropped}")
            self._dropped = ""
        return 0.0 if lived >= self._timing.ended_early else self._backoff.pause()

    def _doubt(self, why: str) -> None:
        """Nobody knows yet whether the server is away: one of us finds out, the others wait."""
        self._availability.doubt()
        self._condition.broken(why)

    def _opened(self) -> None:
        self._availability.answered()
        self._condition.opened(self._list_watch.version)

    def _after(self, error: LbsyncError) -> float:
        """Decide what a failure means for the next turn; return how long to wait."""
        pause = self._backoff.pause()
        match error:
            case Expired():
                self._availability.answered()
                # Part of a watch's life: no complaint.
                self._condition.broken(str(error))
                self.stats.expired += 1
                self._listing.is_required = True
            case ApiUnavailable() if error.is_away:
                self._condition.broken(str(error))
                self._availability.failed(str(error))
                pause = max(pause, error.retry_after or 0.0)
            case ApiUnavailable():
                self._availability.answered()
                self._condition.failed(str(error))
                pause = max(pause, error.retry_after or 0.0)
            case Rejected():
                self._availability.answered()
                pause = self._refused(error, pause)
            case _:
                # No credentials to be had; renewed ones must work soon.
                self._condition.failed(str(error))
        return pause

    def _refused(self, error: Rejected, pause: float) -> float:
        """Return how long to wait after 401, 403 or 404."""
        refusals = self._condition.refused(error)
        if isinstance(error, Unauthorized):
            return pause  # renewed credentials must work soon
        self._listing.is_required = True
        return doubled(self._timing.backoff_first, self._timing.refused, refusals - 1)

    def _failed(self, why: str) -> None:
        # Nobody knows how far the store got: it is listed anew.
        self._listing.is_required = True
        self._condition.broken(f"{self.name}: {why}")
