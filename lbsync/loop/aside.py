"""Work that mostly waits (for the disk, for `haproxy -c`), done aside while wakes are answered."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Seconds between two looks at whether the work is done; a wake is answered at once.
_LOOK_EVERY_S = 0.005


class Wakes(Protocol):
    """The part of `Waker` that is needed here."""

    def wake(self) -> None:
        """Set the flag."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for the flag at most `timeout` seconds, clear it, tell whether it was set."""
        ...


class Aside:
    """Runs one piece of work in a thread of its own, the caller answering wakes meanwhile."""

    def __init__(self, wakes: Wakes, meanwhile: Callable[[], None]) -> None:
        """`meanwhile` is called in the caller's thread after each wake."""
        self._wakes = wakes
        self._meanwhile = meanwhile

    def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Wakes that came while it ran are passed on: whoever waits for them next sees one.
        """
        woken = False
        with ThreadPoolExecutor(1, thread_name_prefix="aside") as pool:
            done = pool.submit(work)
            while not done.done():
                if self._wakes.wait(_LOOK_EVERY_S):
                    woken = True
                    self._meanwhile()
        if woken:
            self._wakes.wake()
        return done.result()
