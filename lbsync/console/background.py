"""What runs beside the requests: tasks that are started again after a fault, and threads that are supervised."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.errors import Stuck
from lbsync.threads import FIRST_PAUSE_S, LAST_PAUSE_S, supervise

_MOST_THREADS = 32
"""They wait for etcd and for API servers; what computes is one state at a time."""


async def run_task(
    name: str, work: Callable[[], Awaitable[None]], on_fault: Callable[[str], None]
) -> None:
    """Run `work` until it returns, however often it raises; `on_fault` is told in one sentence of each fault.

    asyncio keeps the exception of a task that nobody awaits to itself. Raises `Stuck` if `work` does.
    """
    failing = log.Failing(f"task {name} fails", f"task {name} works again")
    backoff = Backoff(FIRST_PAUSE_S, LAST_PAUSE_S)
    while True:
        try:
            await work()
        except Stuck:
            raise
        except Exception as fault:  # noqa: BLE001 (above a task's work nobody could act on it)
            what = f"unforeseen: {type(fault).__name__}: {fault}"
            failing.failed(what, exc_info=fault)
            on_fault(f"task {name} failed: {what}")
            await asyncio.sleep(backoff.pause())
        else:
            return


class Workers:
    """The threads in which requests wait; see `asyncio.to_thread`.

    A pool counts a thread that has ended as an idle one, and leaves the next request to it.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self.executor = ThreadPoolExecutor(_MOST_THREADS, "console", self._begun)
        supervise(self)

    def restart_ended(self) -> None:
        """Raise `Stuck` if one has ended before `executor` was shut down."""
        if any(not thread.is_alive() for thread in self._threads):
            raise Stuck("a thread that answers requests has ended; only a new process answers all")

    def _begun(self) -> None:
        self._threads.append(threading.current_thread())
