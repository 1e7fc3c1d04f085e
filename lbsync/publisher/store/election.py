"""Who of several publishers writes: one key, one lease, and a fence on every write.

The leader is whoever made `publishers/<cluster>/leader`, which lives as long as its lease. Every write
of data is guarded by that key's create_revision, so one that lost the lead without noticing (a
process that was stopped and thawed) cannot write a single key more. The data itself hangs on no
lease: a publisher that dies must not empty the balancers.

Nobody waits here. `step` is called in each pass; that the leader's key is gone is news from the
store's watch, which brings about a pass.
"""

import os
import socket
import time
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.clients.source import Expect, Lease, Put, Source
from lbsync.errors import BadKey, Conflict, LbsyncError
from lbsync.model.publishing import LeaderRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.publishing import leader_key, read
from lbsync.timestamps import stamp


def identity() -> str:
    """Return a name for this process that no other one of the fleet has: host and process id."""
    return f"{socket.gethostname()}/{os.getpid()}"


class Election:
    """One candidate. Used by one thread."""

    def __init__(
        self,
        source: Source,
        cluster: str,
        name: str,
        ttl: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name`: who this is, for people. `ttl`: seconds after which a silent leader is replaced."""
        self._source = source
        self._key = leader_key(cluster)
        self._name = name
        self._ttl = ttl
        self._clock = clock
        self._lease: Lease | None = None
        self._revision = 0
        self._look_at = 0.0
        self._other = ""

    @property
    def fence(self) -> Expect | None:
        """The guard of every write while this one leads; None: it does not, or no longer surely."""
        if self._lease is None or self._lease.remaining() <= 0.0:
            return None
        return Expect(self._key, create_revision=self._revision)

    @property
    def leader(self) -> str:
        """Who leads, as far as known; empty: nobody, or unknown."""
        return self._name if self._lease is not None else self._other

    @property
    def wait(self) -> float:
        """Seconds after which `step` should be called at the latest, whatever the watch says."""
        return self._ttl / 2

    def step(self, snapshot: Snapshot) -> Expect | None:
        """Keep the lead, or try to get it when nobody has it; return the fence of the leader.

        Raises `Unavailable` when the store does not answer.
        """
        if self._lease is not None:
            if self.fence is not None:
                return self.fence
            self._stop("the lease ran out")
        item = snapshot.items.get(self._key)
        if item is not None and self._clock() >= self._look_at:
            # The watch may be behind; so now and then the key itself is asked for.
            item = self._source.get(self._key)
            self._look_at = self._clock() + self._ttl
        if item is not None:
            self._note(item)
            return None
        return self._campaign()

    def fenced(self) -> bool:
        """After a write that lost its race: tell whether it was the lead that was lost.

        Raises `Unavailable`.
        """
        if self._lease is None:
            return True
        item = self._source.get(self._key)
        if item is not None and item.create_revision == self._revision:
            return False
        self._stop("another one leads" if item is not None else "its key is gone")
        return True

    def resign(self) -> None:
        """Give up the lead at once: the key is removed, and waiting candidates see it. (The term is that of etcd's
        election API.)"""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.end()
            log.get().info("gave up the lead", key=self._key)

    def _campaign(self) -> Expect | None:
        lease = self._source.lease(self._ttl)
        value = msgspec.json.encode(LeaderRecord(self._name, stamp()))
        try:
            self._revision = self._source.commit(
                [Expect(self._key, create_revision=0)], [Put(self._key, value, lease.id)]
            )
        except Conflict:
            lease.end()
            # The snapshot may not show the winner yet: no second try before it can.
            item = self._source.get(self._key)
            if item is not None:
                self._note(item)
            return None
        except LbsyncError:
            lease.end()
            raise
        self._lease, self._other = lease, ""
        log.get().info("leads: publishes from now on", key=self._key, name=self._name)
        return self.fence

    def _stop(self, why: str) -> None:
        lease, self._lease = self._lease, None
        log.get().warning("lost the lead, writes nothing", key=self._key, why=why)
        if lease is not None:
            lease.end()

    def _note(self, item: Item) -> None:
        try:
            other = read(LeaderRecord, item).identity
        except BadKey:
            other = "somebody"
        if other != self._other:
            self._other = other
            log.get().info("waits: another publisher leads", key=self._key, leader=other)
