"""Writes on a lease: the lease is requested when it is needed, and failed writes are retried with growing pauses and
logged once."""

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
    """A lease that is requested when it is first needed, and again once it has expired."""

    def __init__(self) -> None:
        self._lease: Lease | None = None

    @property
    def current(self) -> Lease | None:
        """The lease; None before the first one, and once it has expired."""
        holds = self._lease is not None and self._lease.remaining() > 0.0
        return self._lease if holds else None

    def of(self, source: Source, ttl_s: float) -> Lease:
        """Return the current lease, or a new one of `ttl_s` seconds. Raises `Unavailable`."""
        lease = self._lease = self.current or source.lease(round(ttl_s))
        return lease

    def forget(self) -> Lease | None:
        """Return the current lease, if any, and request another one next time."""
        lease, self._lease = self._lease, None
        return lease


class WriteRetry:
    """Whether one kind of write works, and when to try it again."""

    def __init__(self, what: str) -> None:
        """`what` completes "cannot …"."""
        self._what = what
        self._backoff = Backoff(_FIRST_PAUSE_S, _LAST_PAUSE_S)
        self._said = log.OnChange()
        self.until = 0.0
        """When to try again; monotonic clock."""

    @contextlib.contextmanager
    def attempt(self, source: Source, lease: OnDemandLease) -> Iterator[None]:
        """Note whether the write in this block succeeds; an `LbsyncError` is handled here. `lease`: forgotten where
        etcd does not know it any more."""
        try:
            yield
        except Conflict as error:
            lease.forget()  # etcd was wiped, or was away for too long
            self.failed(error, is_logged=False)
        except LbsyncError as error:
            self.failed(error, is_logged=source.health().ok)
        else:
            self.succeeded()

    def succeeded(self) -> None:
        """Note a success; log it if the failure was logged."""
        if self._said.keep(()):
            log.get().info(f"can {self._what} again")
        self.until = 0.0
        self._backoff.reset()

    def failed(self, error: LbsyncError, *, is_logged: bool) -> None:
        """Note a failure. The first one is not logged: most are a connection that broke."""
        self.until = time.monotonic() + self._backoff.pause()
        if is_logged and self._backoff.failures > 1 and self._said.is_new("", str(error)):
            log.get().warning(f"cannot {self._what}: {error}; HAProxy is served all the same")
