"""The leader's heartbeat in etcd: when the store was last in step with the cluster.

It has a lease of its own, longer than the leader's. If it is missing, no publisher is alive; if it is old, the
publisher makes no progress.
"""

import time
from collections.abc import Callable

import msgspec

from lbsync.clients.source import Expect, Lease, Put, Source
from lbsync.errors import Conflict
from lbsync.model.publishing import HeartbeatRecord
from lbsync.schema.publishing import heartbeat_key

_LIVES = 3
"""Times `every`, so that one may be late."""
_AT_LEAST_S = 1.0
"""Between two that differ."""


class Heartbeat:
    """Writes `publishers/<cluster>/heartbeat`. Used by one thread."""

    def __init__(
        self,
        source: Source,
        cluster: str,
        every: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every`: seconds between two that say the same."""
        self._source = source
        self._key = heartbeat_key(cluster)
        self._every = every
        self._clock = clock
        self._lease: Lease | None = None
        self._written: HeartbeatRecord | None = None
        self._at = 0.0
        self._has_news = False

    def due(self) -> float:
        """Return in how many seconds the next one should be written."""
        if self._written is None:
            return 0.0
        pause = _AT_LEAST_S if self._has_news else self._every
        return max(0.0, self._at + pause - self._clock())

    def beat(self, record: HeartbeatRecord, fence: Expect) -> None:
        """Write it if it is due or says something new. Raises `Unavailable`."""
        now = self._clock()
        before = self._written
        if before is not None:
            same = msgspec.structs.replace(before, synced_at=record.synced_at) == record
            self._has_news = not same
            if now - self._at < (self._every if same else _AT_LEAST_S):
                return
        if self._lease is None or not self._lease.remaining():
            self._lease = self._source.lease(round(self._every * _LIVES))
        try:
            put = Put(self._key, msgspec.json.encode(record), self._lease.id)
            self._source.commit([fence], [put])
        except Conflict:
            # The lead or the lease was lost; the next pass finds out which.
            self._forget()
            return
        self._written, self._at, self._has_news = record, now, False

    def stop(self) -> None:
        """Remove it, unless another publisher has written it since."""
        lease = self._lease
        self._forget()
        if lease is not None:
            lease.end()

    def _forget(self) -> None:
        self._lease = self._written = None
