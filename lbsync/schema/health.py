"""The keys with which somebody asks how services do, and hosts answer; and how they are read.

A question stands below `watchers/` under the lease of who asks: when he goes, so does it. Answers are
written often, so they lie beside the prefix, where no agent has to hear them: for `/lbsync/` below
`/lbsync-health/`, one key for each host, named as the host.
"""

import msgspec

from lbsync.errors import BadKey
from lbsync.model.health import HealthRecord, WatcherRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading
from lbsync.schema.keys import ServiceId
from lbsync.values.basic import HostName

WATCHERS = "watchers/"
STALE_S = 10.0
"""Seconds after which an answer is written again although nothing has changed: an older one is of an agent
that does not read HAProxy any more. Longer only where `HealthRecord.every_s` says so."""
MOST_WATCHERS = 100
"""Questions that are looked at; who may write them may write any number."""
MOST_SERVICES = 200
"""Services that are answered at a time."""
_MOST_BYTES = 64 << 10
"""Of one question."""


class Asked(msgspec.Struct, frozen=True):
    """What is asked by all questions together."""

    services: tuple[ServiceId, ...] = ()
    left_out: int = 0
    """Services beyond `MOST_SERVICES`."""
    all: bool = False
    revisions: tuple[int, ...] = ()
    """Which somebody waits for."""
    newest: int = 0
    """Revision that wrote the newest question about health."""

    @property
    def health(self) -> bool:
        """Whether somebody asks for the health of anything."""
        return bool(self.services) or self.all


NOTHING = Asked()


def health_prefix(prefix: str) -> str:
    """Return what all keys of answers begin with, in a store whose other keys begin with `prefix`."""
    return f"{prefix.rstrip('/')}-health/"


def watcher_key(name: str) -> str:
    """Return the key of one question."""
    return f"{WATCHERS}{name}"


def asked(snapshot: Snapshot) -> Asked:
    """Return what is asked now. A key without a lease, one that cannot be read, and what names no service
    count for nothing."""
    keys = sorted(key for key in snapshot.leased if key.startswith(WATCHERS))[:MOST_WATCHERS]
    services: dict[ServiceId, None] = {}
    revisions: set[int] = set()
    everything, newest = False, 0
    for key in keys:
        item = snapshot.items.get(key)
        record = _question(item) if item is not None else None
        if record is None:
            continue
        services.update(dict.fromkeys(_services(record)))
        everything = everything or record.all
        if item is not None and (record.services or record.all):
            newest = max(newest, item.mod_revision)
        awaited = item.mod_revision if item is not None and record.here else record.revision
        # One that is still to come is waited for when it is there.
        if 0 < awaited <= snapshot.revision:
            revisions.add(awaited)
    named = tuple(services)[:MOST_SERVICES]
    left_out = len(services) - len(named)
    return Asked(named, left_out, everything, tuple(sorted(revisions)), newest)


def answers(snapshot: Snapshot) -> dict[str, HealthRecord | None]:
    """Return what each host answers, sorted by host, of a snapshot of all keys below `health_prefix`.

    None: it cannot be read. A key without a lease, or that is named as no host, counts for nothing.
    """
    found = {}
    for key in sorted(snapshot.leased):
        item = snapshot.items.get(key)
        if item is not None and _is_host(key):
            found[key] = _answer(item)
    return found


def _question(item: Item) -> WatcherRecord | None:
    if len(item.value) > _MOST_BYTES:
        return None
    try:
        return reading.record(item.value, WatcherRecord)
    except reading.Unreadable:
        return None


def _services(record: WatcherRecord) -> list[ServiceId]:
    found = []
    for text in record.services[: MOST_SERVICES * 10]:
        try:
            found.append(ServiceId.parse(text))
        except ValueError:
            continue
    return found


def _answer(item: Item) -> HealthRecord | None:
    try:
        return reading.bounded(reading.record(item.value, HealthRecord))
    except (reading.Unreadable, BadKey):
        return None


def _is_host(name: str) -> bool:
    try:
        return bool(name) and HostName.parse(name) == name
    except ValueError:
        return False
