"""The name of this host in the fleet: acquired under a guard, so that two agents never share one.

`agents/<host>` is written by the agent that had it first, for as long as it lives. A second agent with the
same name says so at `agents/<host>/rival` and waits. `agents/<host>/seen` remains when the record disappears,
so that a host which is gone can be distinguished from one that never existed.
"""

import time
from pathlib import Path

from lbsync.agent.boot import boot_id
from lbsync.clients.source import Delete, Expect, Lease, Put, Source
from lbsync.errors import BadKey
from lbsync.model.records import AgentRecord, RivalRecord, SeenRecord
from lbsync.model.snapshot import Item
from lbsync.schema import fleet
from lbsync.schema.decode import encode
from lbsync.timestamps import stamp

#: Between two notes that this host belongs to the fleet: they are kept by etcd for good.
_SEEN_EVERY_S = 600.0


class NameTaken(Exception):
    """Another agent reports under this name; its record is `args[0]`. No failure of the write."""


def instance(state_dir: Path) -> str:
    """Return what tells this agent from others of its name, and not from itself after a restart.

    The boot of the machine and its state directory: a copied machine has another boot, a second
    agent on one machine another directory.
    """
    try:
        where = state_dir.stat()
    except OSError:
        return ""
    return f"{boot_id()}/{where.st_dev}-{where.st_ino}"


class Presence:
    """Writes the record of one host, and the two keys beside it."""

    def __init__(self, source: Source, host: str, instance: str) -> None:
        """Nothing is written yet."""
        self._source = source
        self._host = host
        self.instance = instance
        self._key = fleet.agent_key(host)
        self._seen_at = float("-inf")
        self._is_rival = False
        self.reclaims = 0
        """Revision of a record that was written over ours: that one may be written over, too."""

    def write(self, record: AgentRecord, value: bytes, lease: Lease, *, first: bool) -> int:
        """Write the record; return the revision. `first`: the name is not known to be ours.

        Raises `NameTaken`; and `Conflict` and `Unavailable` as `Source.commit` does.
        """
        guards = self._guards(record, lease) if first else []
        ops: list[Put | Delete] = [Put(self._key, value, lease.id)]
        now = time.monotonic()
        if first or now - self._seen_at >= _SEEN_EVERY_S:
            self._seen_at = now
            ops.append(self._seen())
        if self._is_rival:
            ops.append(Delete(fleet.rival_key(self._host)))
        revision = self._source.commit(guards, ops)
        self._is_rival, self.reclaims = False, 0
        return revision

    def leave(self, *, for_good: bool) -> None:
        """Note that the agent ends, or that this host does not report any more."""
        key = fleet.seen_key(self._host)
        left = self._seen(left=stamp(milliseconds=True))
        self._source.commit([], [Delete(key) if for_good else left])
        self._seen_at = float("-inf")

    def _guards(self, record: AgentRecord, lease: Lease) -> list[Expect]:
        item = self._source.get(self._key)
        if item is None:
            return [Expect(self._key, create_revision=0)]
        if not self._may_replace(item):
            rival = RivalRecord(self.instance, record.pid, record.started_at)
            put = Put(fleet.rival_key(self._host), encode(rival), lease.id)
            self._source.commit([], [put])
            self._is_rival = True
            raise NameTaken(item.value.decode(errors="replace"))
        return [Expect(self._key, mod_revision=item.mod_revision)]

    def _may_replace(self, item: Item) -> bool:
        """Tell whether a record is our own, of an agent that is gone, or was put in our place."""
        if item.mod_revision == self.reclaims or self._key not in self._source.snapshot().leased:
            return True
        return self.is_ours(item)

    def is_ours(self, item: Item) -> bool:
        """Tell whether this agent wrote a record, before a restart or without hearing that it was done."""
        try:
            written = fleet.read(AgentRecord, item)
        except BadKey:
            return False
        return written.instance == self.instance != ""

    def _seen(self, left: str = "") -> Put:
        said = SeenRecord(stamp(milliseconds=True), left)
        return Put(fleet.seen_key(self._host), encode(said))
