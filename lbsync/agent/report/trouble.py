"""Handles failed writes of what this host reports on a lease: retried with growing pauses, and logged once."""

import contextlib
import time
from collections.abc import Iterator

from lbsync import log
from lbsync.backoff import Backoff
from lbsync.clients.source import Lease, Source
from lbsync.errors import Conflict, LbsyncError

_FIRST_PAUSE_S = 0.5
_LAST_PAUSE_S = 30.0


class OnDemandLease:
    """A lease that is asked for when it is first needed, and anew once it has run out."""

    def __init__(self) -> None:
        self._lease: Lease | None = None

    @property
    def current(self) -> Lease | None:
        """The lease, as long as it holds."""
        holds = self._lease is not None and self._lease.remaining() > 0.0
        return self._lease if holds else None

    def of(self, source: Source, ttl_s: float) -> Lease:
        """Return the lease that holds, or a new one. Raises `Unavailable`."""
        lease = self._lease = self.current or source.lease(round(ttl_s))
        return lease

    def forget(self) -> Lease | None:
        """Ask for another one next time; return the one so far."""
        lease, self._lease = self._lease, None
        return lease


class Trouble:
    """What is known of one kind of write."""

    def __init__(self, what: str) -> None:
        """`what` completes "cannot …"."""
        self._what = what
        self._backoff = Backoff(_FIRST_PAUSE_S, _LAST_PAUSE_S)
        self._said = log.OnChange()
        self.until = 0.0
        """When to try again; monotonic clock."""

    @contextlib.contextmanager
    def trying(self, source: Source, lease: OnDemandLease) -> Iterator[None]:
        """Take note of how a write under a lease ends, within this block; `LbsyncError` goes no further."""
        try:
            yield
        except Conflict as error:
            lease.forget()  # etcd was wiped, or was away for too long
            self.failed(error, worth_saying=False)
        except LbsyncError as error:
            self.failed(error, worth_saying=source.health().ok)
        else:
            self.over()

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
