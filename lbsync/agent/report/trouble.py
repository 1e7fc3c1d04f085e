"""A write to the fleet that fails: tried again ever more rarely, and spoken of once."""

import time

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.errors import LbsyncError

_FIRST_PAUSE_S = 0.5
_LAST_PAUSE_S = 30.0


class Trouble:
    """What is known of one kind of write."""

    def __init__(self, what: str) -> None:
        """`what` completes "cannot …"."""
        self._what = what
        self._backoff = Backoff(_FIRST_PAUSE_S, _LAST_PAUSE_S)
        self._said = log.OnChange()
        self.until = 0.0
        """When to try again; monotonic clock."""

    def over(self) -> None:
        """Take note of a success: one line if the failure had been told, and no pause any more."""
        if self._said.keep(()):
            log.get().info(f"can {self._what} again")
        self.until = 0.0
        self._backoff.reset()

    def failed(self, error: LbsyncError, *, worth_saying: bool) -> None:
        """It does not. The first failure is only tried again: most are a connection that broke."""
        self.until = time.monotonic() + self._backoff.pause()
        if worth_saying and self._backoff.failures > 1 and self._said.is_new("", str(error)):
            log.get().warning(f"cannot {self._what}: {error}; HAProxy is served all the same")
