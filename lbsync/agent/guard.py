"""Is this removal meant? A store that was emptied or wiped must not empty the balancers.

Pure: accepted entries and wanted entries in, a verdict out. Servers are counted per service, so
new addresses for the same number of servers are no removal.
"""

import hashlib

import msgspec

from lbsync.agent.entries import Entries, Entry
from lbsync.model.records import EndpointsRecord
from lbsync.schema.keys import ServiceId


class Hold(msgspec.Struct, frozen=True):
    """A removal that waits for confirmation."""

    id: str
    """Names exactly this removal; a confirmation of another one does not release it."""
    losses: dict[str, tuple[int, int]]
    """Service to (servers before, servers wanted), for each service that would lose some."""
    total: int
    """Servers in all accepted services."""

    @property
    def lost(self) -> int:
        """How many servers would go."""
        return sum(before - after for before, after in self.losses.values())

    def __str__(self) -> str:
        """One sentence for the log and the status."""
        names = ", ".join(sorted(self.losses)[:3])
        more = f" and {len(self.losses) - 3} more" if len(self.losses) > 3 else ""
        return (
            f"{self.lost} of {self.total} servers would go at once ({names}{more}); "
            f"they stay until 'lbsync confirm'"
        )


def _counts(entries: Entries, only: set[ServiceId] | None = None) -> dict[ServiceId, int]:
    """Return servers per service; a service without its own key has none that can be reached."""
    counts: dict[ServiceId, int] = {}
    for entry in entries.values():
        service = entry.key.service
        if service is None or (only is not None and service not in only):
            continue
        if entry.key.kind == "services":
            counts.setdefault(service, 0)
        elif isinstance(entry.record, EndpointsRecord) and f"services/{service}" in entries:
            counts[service] = counts.get(service, 0) + len(entry.record.servers)
    return counts


def _touched(accepted: Entries, wanted: Entries) -> set[ServiceId]:
    found: set[ServiceId] = set()
    for name, entry in accepted.items():
        if wanted.get(name) is not entry and entry.key.service is not None:
            found.add(entry.key.service)
    return found


def check(accepted: Entries, wanted: Entries, percent: int) -> Hold | None:
    """Return the removal to hold, or None when everything may go on.

    A removal is held when more than `percent` (0 to 100) of all accepted servers would go; at 100
    nothing ever is.
    """
    touched = _touched(accepted, wanted)
    if not touched or percent >= 100:
        return None
    before = _counts(accepted)
    after = _counts(wanted, touched)
    losses = {
        str(service): (before[service], after.get(service, 0))
        for service in touched
        if before.get(service, 0) > after.get(service, 0)
    }
    total = sum(before.values())
    lost = sum(old - new for old, new in losses.values())
    if not lost or lost * 100 <= total * percent:
        return None
    name = hashlib.sha256(msgspec.json.encode(sorted(losses.items()))).hexdigest()[:12]
    return Hold(name, dict(sorted(losses.items())), total)


def kept(hold: Hold) -> set[ServiceId]:
    """Return the services whose accepted entries stay in place."""
    return {ServiceId.parse(name) for name in hold.losses}


__all__ = ["Entry", "Hold", "check", "kept"]
