"""Threads with a keeper: one that ends by a fault is logged and started again.

A thread that dies leaves a process that looks well and does nothing: Python prints a traceback and
goes on. Here a fault of a thread's work ends one turn of it, never the thread; and should the thread
end all the same, whoever calls `look_after` (the loop, every few seconds) begins it anew.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from lbsync import log
from lbsync.backoff import Backoff

FIRST_PAUSE_S = 0.2
"""Seconds between the first fault of a thread's work and its next turn; doubled from fault to fault."""
LAST_PAUSE_S = 10.0
#: A turn that lasted as long as this was a good one: the next fault is a first one again.
_SETTLED_S = 60.0


class Keepable(Protocol):
    """What `look_after` looks after."""

    def look_after(self) -> None:
        """Begin anew what should run and does not. Called from the loop's thread; never blocks."""
        ...


_kept: weakref.WeakSet[Keepable] = weakref.WeakSet()
_lock = threading.Lock()


def keep(one: Keepable) -> None:
    """Have `look_after` ask this one from now on, for as long as anybody holds it."""
    with _lock:
        _kept.add(one)


def look_after() -> None:
    """Begin anew every kept thread that should run and does not."""
    with _lock:
        kept = list(_kept)
    for one in kept:
        one.look_after()


class KeptThread:
    """A daemon thread that runs `work` until that returns, however often it raises.

    `work` returns when its owner wants it to end, and may be called again from the start after a
    fault. `on_fault` is told in one sentence of each; it runs in this thread (or in the one that calls
    `look_after`) and is where the owner says so in its health, so that no good word outlives the
    thread it speaks for.
    """

    def __init__(
        self,
        work: Callable[[], None],
        name: str,
        *,
        on_fault: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self._work = work
        self._on_fault = on_fault
        self._ended = threading.Event()
        self._failing = self._no_fault_yet()
        self._backoff = Backoff(FIRST_PAUSE_S, LAST_PAUSE_S)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and look after it from then on. Once only."""
        self._begin()
        keep(self)

    def stop(self) -> None:
        """Begin no further turn; the one that runs is its owner's to end."""
        self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """`stop`, and wait until the thread has ended, at most `timeout` seconds."""
        self.stop()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Tell whether the thread runs, or waits for its next turn."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_started(self) -> bool:
        """Whether `start` was called."""
        return self._thread is not None

    def look_after(self) -> None:
        """Begin anew a thread that ended without being asked to."""
        if self._thread is not None and not self._ended.is_set() and not self._thread.is_alive():
            self._begin()
            self._tell("it ended")

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                self._work()
            except BaseException as fault:  # noqa: BLE001 (above a thread's work nobody could act on it)
                if time.monotonic() - began > _SETTLED_S:
                    self._failing = self._no_fault_yet()
                    self._backoff.reset()
                self._tell(f"unforeseen: {type(fault).__name__}: {fault}", fault)
                self._ended.wait(self._backoff.pause())
            else:
                self._ended.set()

    def _no_fault_yet(self) -> log.Failing:
        return log.Failing(f"thread {self.name} fails", f"thread {self.name} works again")

    def _tell(self, what: str, fault: BaseException | None = None) -> None:
        self._failing.failed(what, exc_info=fault)
        if self._on_fault is not None:
            self._on_fault(f"thread {self.name} failed: {what}")
