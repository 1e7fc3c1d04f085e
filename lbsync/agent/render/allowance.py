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


class _Usage:
    """What the output that is being rendered has used so far, by itself and in its items."""

    def __init__(self) -> None:
        self._clock = 0.0
        self._memory_at_start = self._memory_at_item = self._memory_now = 0
        self._item_number = self._item_measured = 0
        self.depth = 0
        """How many items are being rendered, one within the other; 0: none."""
        self.reset_times()

    def start(self, memory: int) -> None:
        """Begin to measure, at so many bytes in memory."""
        self._memory_at_start = memory
        self._clock = time.thread_time()

    def reset_times(self) -> None:
        """Count the processor time from zero."""
        self.own = self.total = self.in_item = 0.0
        """Seconds: outside of items, of all, and of the current item."""

    def reset(self, memory: int) -> None:
        """Count time and memory from zero, at so many bytes in memory."""
        self.reset_times()
        self._memory_at_start = memory

    def begin_item(self) -> None:
        """An item begins; one within an item counts as part of that."""
        self.depth += 1
        if self.depth == 1:
            self._item_number += 1

    def end_item(self) -> None:
        """The item is done, or has failed."""
        self.depth -= 1

    def measure(self) -> None:
        """Add the time since the last call to what it was used for, and look at the memory."""
        now, self._memory_now = time.thread_time(), _memory()[1]
        spent, self._clock = now - self._clock, now
        self.total += spent
        if not self.depth:
            self.own += spent
        elif self._item_number == self._item_measured:
            self.in_item += spent
        else:
            self._item_measured, self.in_item = self._item_number, 0.0
            self._memory_at_item = self._memory_now

    @property
    def memory(self) -> int:
        """Bytes by which the process has grown."""
        return self._memory_now - self._memory_at_start

    @property
    def item_memory(self) -> int:
        """Bytes by which it has grown during the current item; 0 outside of items."""
        return self._memory_now - self._memory_at_item if self.depth else 0


class _MemoryLimit:
    """The limit of the process's memory, lower than its own while templates are rendered."""

    def __init__(self) -> None:
        self._own: tuple[int, int] | None = None
        """The process's own limit, while the lower one is in force."""

    def lower(self, data: int) -> None:
        """Refuse a single operation that needs too much on top of `data`, the bytes in use."""
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = data + _BYTES_AT_ONCE
        if data and (soft == resource.RLIM_INFINITY or most < soft):
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
            self._own = soft, hard

    def restore(self) -> None:
        """Put the process's own limit in force again. May be called twice."""
        if self._own is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._own)
            self._own = None


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
        self._memory_limit = _MemoryLimit()
        self._usage = _Usage()
        self._output = ""

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
        self._usage.reset_times()
        self._usage.depth = 0
        yield
        self._took[name] = max(self._usage.own, self._took.get(name, 0.0))

    def begin_item(self) -> None:
        """An item begins; one within an item counts for that. Raises `ItemTooCostly` up to `end_item`."""
        self._usage.begin_item()

    def end_item(self) -> None:
        """The item is done, or has failed."""
        self._usage.end_item()

    def _arm(self) -> None:
        data, resident = _memory()
        self._memory_limit.lower(data)
        self._usage.start(resident)
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
        self._memory_limit.restore()

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        if not self._armed:
            return
        if (error := self._judge()) is not None:
            # What is on its way out has the time to get there before it is raised again.
            self._allowed = self._allowed / 2
            self._usage.reset(_memory()[1])
        self._look_again()
        if error is not None:
            raise error

    def _judge(self) -> TooCostly | None:
        used = self._usage
        used.measure()
        if used.memory > _MOST_BYTES:
            is_item = used.item_memory > _MOST_BYTES / 2
            return (ItemTooCostly if is_item else TooCostly)(TOO_MUCH_MEMORY)
        if used.in_item > max(self._allowed, self._seconds / _LEAST_OF_ITEMS):
            return ItemTooCostly(self._too_long(used.in_item))
        if used.own > self._allowed_now() or used.total > _MOST_SECONDS:
            return TooCostly(self._too_long(max(used.own, used.total)))
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
