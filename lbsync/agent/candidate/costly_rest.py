"""Pauses templates that exceed their time limit whatever their input.

Each attempt costs the whole limit, and half as much again for the search, and any change wakes the agent. Other
templates or settings are a new search, without this pause.
"""

import time
from collections.abc import Callable

from lbsync.agent.candidate.failed_digests import FIRST_S, LONGEST_S
from lbsync.backoff import Backoff
from lbsync.errors import TooCostly


class CostlyRest:
    """Remembers that all of it took too much."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._backoff = Backoff(FIRST_S, LONGEST_S)
        self._until = 0.0
        self._error: TooCostly | None = None

    def check(self) -> None:
        """Raise `TooCostly` while nothing is to be tried."""
        if self._error is not None and (left := self._until - self._clock()) > 0:
            raise TooCostly(
                f"{self._error}; it is tried again in {left / 60:.0f} min at the latest, and at once with "
                "other templates or settings, or by 'systemctl reload lbsync-agent'"
            )

    def begin(self, error: TooCostly) -> None:
        """It took too much: rest, twice as long as the last time."""
        self._error, self._until = error, self._clock() + self._backoff.pause()

    def end(self) -> None:
        """It went well."""
        self._backoff.reset()
        self._error = None
