"""Supervised threads: one that ends by a fault is logged and started again.

A thread that dies leaves a process that looks healthy and does nothing: Python prints a traceback and
goes on. Here, a fault ends one run of a thread's work, not the thread. If the thread ends all the same,
`restart_ended` starts it again, which the loop calls every few seconds.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from lbsync import log
from lbsync.backoff import Backoff

FIRST_PAUSE_S = 0.2
"""Seconds between the first fault of a thread's work and its next run; doubled from fault to fault."""
LAST_PAUSE_S = 10.0
#: After a run as long as this, the next fault counts as a first one again.
_SETTLED_S = 60.0


class Supervised(Protocol):
    """What `supervise` takes."""

    def restart_ended(self) -> None:
        """Start again what should run and does not. Called from the loop's thread; never blocks. Raises `Stuck`
        if only a new process helps."""
        ...


_supervised: weakref.WeakSet[Supervised] = weakref.WeakSet()
_lock = threading.Lock()


def supervise(one: Supervised) -> None:
    """Include `one` in each `restart_ended` from now on, for as long as it is referenced elsewhere."""
    with _lock:
        _supervised.add(one)


def restart_ended() -> None:
    """Start every supervised thread again that should run and does not. Raises `Stuck` if that is impossible."""
    with _lock:
        supervised = list(_supervised)
    for one in supervised:
        one.restart_ended()


class SupervisedThread:
    """A daemon thread that runs `work` until that returns, however often it raises.

    `work` returns when its owner wants it to end, and may be called again from the start after a
    fault. `on_fault` gets one sentence about each fault, in this thread or in the one that calls
    `restart_ended`; there the owner updates its health, so that it does not stay good without its thread.
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
        """Start the thread, and supervise it from then on. Once only."""
        self._begin()
        supervise(self)

    def stop(self) -> None:
        """Start no further run of the work; the owner ends the current one."""
        self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """`stop`, and wait until the thread has ended, at most `timeout` seconds."""
        self.stop()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Tell whether the thread runs, or waits to start its work again."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_started(self) -> bool:
        """Whether `start` was called."""
        return self._thread is not None

    def restart_ended(self) -> None:
        """Start the thread again if it ended without being asked to."""
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


class PeriodicThread:
    """A supervised thread that takes turns: one when it is woken, and one when the last turn asked for it."""

    def __init__(
        self, turn: Callable[[], float], name: str, *, finish: Callable[[], None] = lambda: None
    ) -> None:
        """`turn` returns after how many seconds at the most to call it again. `finish` is called in the
        thread when it ends, and after a fault before it starts again."""
        self._turn = turn
        self._finish = finish
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = SupervisedThread(self._run, name)

    @property
    def is_stopped(self) -> bool:
        """Whether `close` was called."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def wake(self) -> None:
        """Have it take another turn now, or after the current one. From any thread; never blocks."""
        self._woken.set()

    def close(self, timeout_s: float) -> None:
        """End it after the current turn; wait for that at most `timeout_s` seconds."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._woken.wait(max(0.0, self._turn()))
                # Not before the turn, where it would lose the wake of a `close` that comes just now.
                self._woken.clear()
        finally:
            self._finish()
