"""Requests health from the hosts for all open pages: one request to all hosts, while somebody views a page."""

import asyncio
import contextlib
import time

from lbsync import log
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError
from lbsync.fleet.watching import Question, question

_EVERY_S = 1.0
_LOOKS_S = 20.0
"""So long somebody counts as looking who asked for a page; a live one asks again within that."""
EVERYTHING = "*"
"""What is looked at by who looks at the whole fleet: all services, in short."""
_MOST = 100
"""Services that are asked for at a time; hosts answer for twice as many."""


class HealthWatch:
    """Keeps the request to hosts equal to what is being viewed. Belongs to the event loop's thread."""

    def __init__(self, source: Source, by: str) -> None:
        """`by`: who asks, for people who read the key."""
        self._source = source
        self._by = by
        self._wanted: dict[str, float] = {}
        """Service to when nobody may look at it any more, on the monotonic clock."""
        self._asked: tuple[str, ...] = ()
        self._question: Question | None = None
        self._failing = log.Failing(
            "hosts cannot be asked how services do", "hosts are asked again"
        )
        self._news = asyncio.Event()
        self.error = ""
        """Why hosts cannot be asked; empty: they can."""

    def look(self, service: str) -> None:
        """Note that somebody views a service, or `EVERYTHING`."""
        is_new = service not in self._wanted
        if is_new and len(self._wanted) >= _MOST:
            return
        self._wanted[service] = time.monotonic() + _LOOKS_S
        if is_new:
            self._news.set()

    def failed(self, why: str) -> None:
        """Take note that `run` failed, and why."""
        self.error = why

    async def run(self) -> None:
        """Keep the question until cancelled; then ask no more."""
        try:
            while True:
                now = time.monotonic()
                self._wanted = {name: end for name, end in self._wanted.items() if end > now}
                wanted = tuple(sorted(self._wanted))
                try:
                    await asyncio.to_thread(self._ask, wanted)
                except LbsyncError as error:
                    self.error = str(error)
                    self._failing.failed(self.error)
                else:
                    self.error = ""
                    self._failing.recovered()
                self._news.clear()
                # Nobody looks: nothing is done until somebody does.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _EVERY_S if wanted else None)
        finally:
            self._end()

    def _ask(self, wanted: tuple[str, ...]) -> None:
        """Ask for exactly these. Raises `LbsyncError`."""
        everything = EVERYTHING in wanted
        services = tuple(name for name in wanted if name != EVERYTHING)
        if not wanted:
            self._end()
        elif self._question is None:
            asked = question(self._source, self._by, services=services, everything=everything)
            asked.keep()
            self._question, self._asked = asked, wanted
        elif wanted != self._asked:
            self._question.change(services, everything=everything)
            self._asked = wanted
        else:
            self._question.keep()

    def _end(self) -> None:
        if self._question is not None:
            self._question.__exit__(None, None, None)
        self._question, self._asked = None, ()
