"""Is this removal meant? A store that was emptied or wiped must not empty the balancers.

Pure: accepted entries and wanted entries in, a verdict out. Servers are counted per service, so
new addresses for the same number of servers are no removal.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from lbsync.agent.entries import Entries, Entry
from lbsync.model.records import EndpointsRecord
from lbsync.schema.keys import ServiceId, service_key


class Hold(msgspec.Struct, frozen=True):
    """A removal that waits for confirmation."""

    id: str
    """Names exactly this removal; a confirmation of another one does not release it."""
    losses: dict[str, tuple[int, int]]
    """Service to (servers before, servers wanted), for each service that would lose some."""
    total: int
    """Servers of all accepted services, when the hold began."""

    @property
    def lost(self) -> int:
        """How many servers would go."""
        return sum(before - after for before, after in self.losses.values())

    def __str__(self) -> str:
        """One sentence for the log and the status."""
        names = ", ".join(sorted(self.losses)[:3])
        more = f" and {len(self.losses) - 3} more" if len(self.losses) > 3 else ""
        what = f"{self.lost} of {self.total} servers" if self.total else "every service"
        return f"{what} would go at once ({names}{more}); they stay until 'lbsync confirm'"


def _servers(entry: Entry | None) -> int:
    if entry is None or not isinstance(entry.record, EndpointsRecord):
        return 0
    return len(entry.record.servers)


def _count(entries: Entries, services: set[ServiceId]) -> dict[ServiceId, int]:
    """Return servers per service; one without its own key has none that can be reached."""
    reached = {service for service in services if service_key(service) in entries}
    counts = dict.fromkeys(services, 0)
    if reached:
        for entry in entries.values():
            if entry.key.service in reached:
                counts[entry.key.service] += _servers(entry)
    return counts


def _total(entries: Entries) -> int:
    """Count the servers that can be reached: those of a service that is there."""
    there = {entry.key.service for entry in entries.values() if entry.key.kind == "services"}
    return sum(_servers(entry) for entry in entries.values() if entry.key.service in there)


def _losses(accepted: Entries, wanted: Entries) -> dict[ServiceId, tuple[int, int]]:
    """Return (before, after) for each service that would have fewer servers than before."""
    shrunk: set[ServiceId] = set()
    for name, entry in accepted.items():
        new = wanted.get(name)
        if new is entry or entry.key.service is None:
            continue
        if new is None or _servers(new) < _servers(entry):
            shrunk.add(entry.key.service)
    if not shrunk:
        return {}
    before, after = _count(accepted, shrunk), _count(wanted, shrunk)
    return {s: (before[s], after[s]) for s in shrunk if before[s] > after[s]}


def loses(accepted: Entries, changed: Iterable[Entry], percent: int) -> bool:
    """Tell whether changed entries alone take away so many servers that `check` must look."""
    lost = sum(
        max(0, _servers(accepted.get(entry.item.key)) - _servers(entry)) for entry in changed
    )
    return bool(lost) and lost * 100 > _total(accepted) * percent


def check(accepted: Entries, wanted: Entries, percent: int, standing: int = 0) -> Hold | None:
    """Return the removal to hold, or None when everything may go on.

    A removal is held when more than `percent` (0 to 100) of all accepted servers would go, or every
    service; at 100 nothing ever is. `standing` is the number of servers there were when a hold
    began that still stands: it goes on being the measure, however many others have gained since.
    """
    if percent >= 100:
        return None
    losses = {str(service): loss for service, loss in _losses(accepted, wanted).items()}
    gone = {str(entry.key.service) for entry in _services(accepted, wanted)}
    if not losses and not gone:
        return None
    lost = sum(old - new for old, new in losses.values())
    total = _total(accepted)
    if standing:
        total = min(total, standing)
    emptied = bool(gone) and not any(e.key.kind == "services" for e in wanted.values())
    if lost * 100 <= total * percent and not emptied:
        return None
    held = losses | {name: losses.get(name, (0, 0)) for name in gone}
    name = hashlib.sha256(msgspec.json.encode(sorted(held.items()))).hexdigest()[:12]
    return Hold(name, dict(sorted(held.items())), total)


def _services(accepted: Entries, wanted: Entries) -> Iterator[Entry]:
    """Yield the accepted services that are not wanted any more."""
    return (e for name, e in accepted.items() if e.key.kind == "services" and name not in wanted)


def kept(hold: Hold) -> set[ServiceId]:
    """Return the services whose accepted entries stay in place."""
    return {ServiceId.parse(name) for name in hold.losses}
