"""When the next pass is due. Pure: the caller passes the time, in seconds of a monotonic clock."""

import random
from collections.abc import Callable

import msgspec

from lbsync.backoff import doubled
from lbsync.settings import Agent

#: A pause is drawn from the last fifth below its length, so that a fleet that failed together does
#: not try again together.
_SPREAD = 0.2
#: Seconds within which the file follows changes that are in force already, while they never pause.
FILE_WITHIN_S = 0.9


class Pace(msgspec.Struct, frozen=True):
    """The time spans of a schedule, in seconds; their meaning is told in `[agent]` of the settings."""

    debounce: float
    debounce_max: float
    retry_min: float
    retry_max: float
    resync: float

    @classmethod
    def of(cls, agent: Agent) -> "Pace":
        """Return the pace that the settings ask for."""
        return cls(
            agent.debounce.seconds,
            agent.debounce_max.seconds,
            agent.retry_min.seconds,
            agent.retry_max.seconds,
            agent.resync.seconds,
        )


class Schedule:
    """Collects reasons for a pass and tells when it is due."""

    def __init__(
        self, pace: Pace, first: float, *, draw: Callable[[], float] = random.random
    ) -> None:
        """The first pass is due at `first`, or by a wake. `draw` returns a number from 0 to below 1."""
        self.pace = pace
        self._draw = draw
        self._first_wake: float | None = None
        self._last_wake = first
        self._timer = first
        self._failures = 0
        self._wakes = self._done = 0

    def woken(self, now: float) -> None:
        """Something may have changed."""
        if self._first_wake is None:
            self._first_wake = now
        self._last_wake = now
        self._wakes += 1

    def due(self) -> float:
        """Return when the next pass should begin; in the past means: now.

        After a wake, that is once there was none for `debounce`, at the latest `debounce_max` after the
        first; without one, when the retry or the resync is due, or when the last pass asked for it.
        """
        if self._first_wake is None:
            return self._timer
        quiet = self._last_wake + self.pace.debounce
        return min(quiet, self._at_latest())

    def can_wait(self, now: float) -> bool:
        """Tell whether nothing but a pause between changes makes a pass due now."""
        return self._first_wake is not None and now < self._at_latest()

    def _at_latest(self) -> float:
        """Return when a pass has to begin, however many wakes there still are."""
        if self._first_wake is None:
            return self._timer
        longest = self.pace.debounce_max
        if self._done == self._wakes:
            longest = max(longest, FILE_WITHIN_S)
        return min(self._first_wake + longest, self._timer)

    def looked_ahead(self, *, done: bool, awaited: bool = False) -> None:
        """Note that the fast path has run for the last wake. `done`: only the file is left for the pass;
        `awaited`: a client waits for the change, so the pass does not wait for further ones."""
        self._done += done
        if done and awaited:
            self._last_wake -= self.pace.debounce

    def begun(self) -> None:
        """A pass begins; it answers all wakes so far."""
        self._first_wake = None
        self._wakes = self._done = 0

    def ended(self, now: float, *, retry: bool, again_in: float | None = None) -> None:
        """Note the end of a pass. `retry`: it is to be repeated, with doubling pauses; `again_in`: seconds until it
        is due in any case."""
        self._timer = now + self._shortened(self.pace.resync)
        if retry:
            pause = doubled(self.pace.retry_min, self.pace.retry_max, self._failures)
            self._timer = min(self._timer, now + self._shortened(pause))
            self._failures += 1
        else:
            self._failures = 0
        if again_in is not None:
            self._timer = min(self._timer, now + max(again_in, 0.0))

    def _shortened(self, pause: float) -> float:
        return pause * (1.0 - _SPREAD * self._draw())
