"""Limits on the requests of one client. Pure except for the clock."""

import time
from collections.abc import Callable

_MOST_CLIENTS = 10_000


class RateLimit:
    """A bucket for each client: `burst` requests at once, `rate` a second after that."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Client to what is left, and when that was so."""

    def wait(self, client: str) -> float:
        """Take one from the bucket; return 0.0, or for how many seconds there is none."""
        now = self._clock()
        left, at = self._buckets.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate)
        if len(self._buckets) >= _MOST_CLIENTS:
            # The one that was heard of longest ago: its bucket is the fullest.
            del self._buckets[next(iter(self._buckets))]
        if left < 1.0:
            self._buckets[client] = left, now
            return (1.0 - left) / self._rate
        self._buckets[client] = left - 1.0, now
        return 0.0


class Places:
    """A number of places of which each is taken by one at a time."""

    def __init__(self, most: int) -> None:
        self._left = most

    def enter(self) -> bool:
        """Take one; False: there is none."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def leave(self) -> None:
        """Give it back."""
        self._left += 1
