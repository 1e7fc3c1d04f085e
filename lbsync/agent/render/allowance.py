"""What templates may take of the processor and of memory, so that none of them stops the agent.

A timer interrupts the rendering every few milliseconds, and looks where the time went: whatever Python
does then, a loop of a template or the engine of a filter, an exception ends it. The clock is that of the
thread, so a host that is busy or was asleep makes no template slow. What one operation of C could do by
itself is bounded before (`environment`), or by the memory it would need.
"""

import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from lbsync.errors import ItemTooCostly, TooCostly

#: Parts of the limit: how often is looked, and how little is allowed to those that come after others
#: which took too long. An item is small beside a whole output.
_LOOKS = 256
_SHORTEST_PAUSE_S = 0.005
_LEAST_OF_ITEMS = 64
_LEAST_OF_OUTPUTS = 8
#: A whole rendering may take this many times what it took before.
_TIMES_BEFORE = 4
#: Seconds for one output with all its items: the watchdog of the unit waits for three minutes.
_MOST_SECONDS = 60.0
_MOST_BYTES = 512 << 20
"""By this much the process may grow while it renders."""
TOO_MUCH_MEMORY = f"it needs more than {_MOST_BYTES >> 20} MiB of memory; have it make less"
_BYTES_AT_ONCE = 640 << 20
"""Beyond this a single operation gets no memory any more."""
_STATM = Path("/proc/self/statm")


class Allowance:
    """Ends templates that take too much. Without effect outside of the main thread."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: of CPU time, for what an output does itself, and for each item of `each`.

        Of those that take too long, each further one is allowed half as much, so that many of them
        cost a search for the culprits little more than one.
        """
        self._seconds = seconds
        self._allowed = seconds
        self._took: dict[str, float] = {}
        """The longest that an output took, of those that it completed."""
        self._armed = False
        self._limit: tuple[int, int] | None = None
        """The process's own limit of memory, while ours is in force."""
        self._began_with = self._item_began_with = 0
        self._clock = 0.0
        self._own = self._whole = self._in_item = 0.0
        self._output = ""
        self._depth = self._item = self._seen = 0

    def restore(self) -> None:
        """Allow all of it again: a new search begins."""
        self._allowed = self._seconds

    @contextmanager
    def spent_here(self) -> Iterator[None]:
        """Look after all that is rendered within."""
        if self._armed or threading.current_thread() is not threading.main_thread():
            yield
            return
        try:
            try:
                self._arm()
                yield
            finally:
                self._disarm()
        finally:  # again: the timer may end the first before it has stopped it
            self._disarm()

    @contextmanager
    def output(self, name: str) -> Iterator[None]:
        """Count for the output `name`. Raises `TooCostly` within, wherever that is."""
        self._output = name
        self._own = self._whole = self._in_item = 0.0
        self._depth = 0
        yield
        self._took[name] = max(self._own, self._took.get(name, 0.0))

    def begin_item(self) -> None:
        """An item begins; one within an item counts for that. Raises `ItemTooCostly` up to `end_item`."""
        self._depth += 1
        if self._depth == 1:
            self._item += 1

    def end_item(self) -> None:
        """The item is done, or has failed."""
        self._depth -= 1

    def _arm(self) -> None:
        data, self._began_with = _memory()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = data + _BYTES_AT_ONCE
        if data and (soft == resource.RLIM_INFINITY or most < soft):
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
            self._limit = soft, hard
        self._clock = time.thread_time()
        self._armed = True
        # Stays for good: a late signal must find it. Programs that are started do not inherit it.
        signal.signal(signal.SIGALRM, self._look)
        self._look_again()

    def _look_again(self) -> None:
        # One at a time: a signal would interrupt the look that it finds.
        signal.setitimer(signal.ITIMER_REAL, max(self._seconds / _LOOKS, _SHORTEST_PAUSE_S))

    def _disarm(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._limit)
            self._limit = None

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        if not self._armed:
            return
        if (error := self._judge()) is not None:
            # What is on its way out has the time to get there before it is raised again.
            self._allowed = self._allowed / 2
            self._own = self._whole = self._in_item = 0.0
            self._began_with = _memory()[1]
        self._look_again()
        if error is not None:
            raise error

    def _judge(self) -> TooCostly | None:
        now, (_, memory) = time.thread_time(), _memory()
        spent, self._clock = now - self._clock, now
        self._whole += spent
        if not self._depth:
            self._own += spent
        elif self._item == self._seen:
            self._in_item += spent
        else:
            self._seen, self._in_item, self._item_began_with = self._item, 0.0, memory
        if memory - self._began_with > _MOST_BYTES:
            is_item = self._depth and memory - self._item_began_with > _MOST_BYTES / 2
            return (ItemTooCostly if is_item else TooCostly)(TOO_MUCH_MEMORY)
        if self._in_item > max(self._allowed, self._seconds / _LEAST_OF_ITEMS):
            return ItemTooCostly(self._too_long(self._in_item))
        if self._own > self._allowed_now() or self._whole > _MOST_SECONDS:
            return TooCostly(self._too_long(max(self._own, self._whole)))
        return None

    def _allowed_now(self) -> float:
        """Return the seconds for the output at hand."""
        before = self._took.get(self._output, 0.0) * _TIMES_BEFORE
        least = max(before, self._seconds / _LEAST_OF_OUTPUTS)
        return max(self._allowed, min(least, self._seconds))

    def _too_long(self, seconds: float) -> str:
        return (
            f"it takes too long: stopped after {seconds:.1f} s of processor time; [templates] time_limit "
            f"allows {self._seconds:g} s"
        )


def _memory() -> tuple[int, int]:
    """Return the bytes of this process that are its own to write, and those that are in memory."""
    with suppress(OSError):
        fields = _STATM.read_bytes().split()
        page = resource.getpagesize()
        return int(fields[5]) * page, int(fields[1]) * page
    return 0, 0
