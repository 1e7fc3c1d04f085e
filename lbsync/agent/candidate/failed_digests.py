"""Configurations that HAProxy failed to load, and how long they are not tried again. Pure.

A reload that fails at binding stops all traffic for two seconds (measured on 2.6 and 2.8), so it is not
repeated with every pass.
"""

from lbsync.backoff import doubled
from lbsync.clients.haproxy.binary import Alert
from lbsync.errors import ApplyFailed

#: Seconds until the first new try, doubled with each further failure.
FIRST_S = 120.0
LONGEST_S = 1800.0
_MOST_REMEMBERED = 20


class LoadFailed(ApplyFailed):
    """Raised when HAProxy was seen to fail at loading a configuration."""

    def __init__(self, message: str, alerts: tuple[Alert, ...]) -> None:
        """`alerts`: what HAProxy said; empty if its log cannot be read."""
        super().__init__(message)
        self.alerts = alerts


def pause(failures: int) -> float:
    """Return for how many seconds not to try again after this many failures."""
    return doubled(FIRST_S, LONGEST_S, failures - 1)


class FailedDigests:
    """Remembers digests that failed. All of `now` are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float, str, str]] = {}

    def note(self, digest: str, why: str, now: float, worker: str) -> None:
        """Note a failed reload to this digest; `worker`: process id of the one that still serves."""
        count = self._known.pop(digest, (0,))[0] + 1
        self._known[digest] = (count, now + pause(count), why, worker)
        while len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]

    def rest(self, digest: str, now: float, worker: str) -> tuple[float, str] | None:
        """Return for how many seconds not to try a digest again, and why; None: it may be tried.

        Another worker means another HAProxy, which may have other rights.
        """
        known = self._known.get(digest)
        if known is None or now >= known[1] or worker != known[3]:
            return None
        return known[1] - now, known[2]
