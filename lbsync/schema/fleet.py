"""The keys that agents write about themselves and their findings, and how they are read."""

import functools
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from lbsync.errors import BadKey
from lbsync.model.records import AgentRecord, QuarantineRecord, RivalRecord, SeenRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import reading
from lbsync.schema.keys import ServiceId
from lbsync.values.basic import HostName

AGENTS = "agents/"
QUARANTINE = "quarantine/"
_REPORT = "report"
_MOST_KEY = 200
"""Characters of a key that an agent may have written: two names of at most 63, and what is between."""
_REMEMBERED = 2048
_SHORT = 8192
"""Bytes of a record that is remembered, as all are but those of hosts in distress."""

R = TypeVar("R", AgentRecord, QuarantineRecord, SeenRecord, RivalRecord)


class Census(msgspec.Struct, frozen=True):
    """All hosts of the fleet, by what stands below `agents/`."""

    live: dict[str, AgentRecord | None]
    """Host to what its agent says, sorted; None: it cannot be read, but an agent wrote it."""
    gone: dict[str, SeenRecord]
    """Hosts that reported once, and do not now."""
    rivals: dict[str, RivalRecord | None]
    """Hosts under whose name a second agent runs."""
    junk: tuple[str, ...]
    """Keys that no agent keeps: of another form, or without a lease. They count for nothing."""

    @property
    def reporting(self) -> frozenset[str]:
        """Hosts that report, and should answer what they are asked."""
        return frozenset(host for host, record in self.live.items() if record is not None)


def agent_key(host: str) -> str:
    """Return the key under which a host says what it serves."""
    return f"{AGENTS}{host}"


def seen_key(host: str) -> str:
    """Return the key that keeps a host in the fleet while it does not report."""
    return f"{AGENTS}{host}/seen"


def rival_key(host: str) -> str:
    """Return the key under which a second agent of a host's name says that it is there."""
    return f"{AGENTS}{host}/rival"


def acknowledgement_key(host: str) -> str:
    """Return the key, beside the prefix, under which a host tells who waits what it serves by now."""
    return f"{host}/{_REPORT}"


def with_acknowledgements(reports: Snapshot, beside: Snapshot, root: str = AGENTS) -> Snapshot:
    """Return `reports` with what live hosts have said since beside the prefix. `root`: as of `census`."""
    items = dict(reports.items)
    for key in beside.leased:
        host, _, what = key.partition("/")
        name, said = f"{root}{host}", beside.items.get(key)
        if what != _REPORT or said is None or name not in reports.leased or name not in items:
            continue
        if said.mod_revision > items[name].mod_revision:
            items[name] = msgspec.structs.replace(said, key=name)
    return msgspec.structs.replace(reports, items=items)


def quarantine_key(service: ServiceId | str) -> str:
    """Return the key that tells the owner of a service why it is quarantined."""
    return f"{QUARANTINE}{service}"


def read(kind: type[R], item: Item) -> R:
    """Return the record of one key. Raises `BadKey`, and nothing else."""
    try:
        return reading.record(item.value, kind)
    except reading.Unreadable as error:
        raise BadKey(item.key, f"was not written by an agent ({error}); remove it") from error


def census(snapshot: Snapshot, root: str = AGENTS) -> Census:
    """Return the hosts of the fleet. `root`: what the keys begin with, where not all of it is read.

    Every agent's etcd user may write below `agents/`, unless each has a role of its own. So a key counts
    only where it is of an agent's form, a record of one that is alive only while it hangs on a lease,
    and what they say is bounded.
    """
    live: dict[str, AgentRecord | None] = {}
    seen: dict[str, SeenRecord] = {}
    rivals: dict[str, RivalRecord | None] = {}
    junk = []
    for key in sorted(key for key in snapshot.items if key.startswith(root)):
        host, slash, what = key.removeprefix(root).partition("/")
        item, leased = snapshot.items[key], key in snapshot.leased
        if not _is_host(host):
            junk.append(key[:_MOST_KEY])
        elif not slash and leased:
            live[host] = _read(AgentRecord, item)
        elif what == "rival" and leased:
            rivals[host] = _read(RivalRecord, item)
        elif what == "seen" and (record := _read(SeenRecord, item)) is not None:
            seen[host] = record
        else:
            junk.append(key[:_MOST_KEY])
    gone = {host: record for host, record in seen.items() if host not in live}
    return Census(live, gone, rivals, tuple(junk))


@functools.lru_cache(_REMEMBERED)
def _is_host(name: str) -> bool:
    try:
        return bool(name) and HostName.parse(name) == name
    except ValueError:
        return False


def _read(kind: type[R], item: Item) -> R | None:
    """Return a record for people to read; None if it cannot be read."""
    # While 300 hosts answer one after the other, each is read once, and not 300 times.
    if len(item.value) <= _SHORT:
        return cast(R | None, _remembered(kind, item))
    return _bounded(kind, item)


@functools.lru_cache(_REMEMBERED)
def _remembered(kind: type[Any], item: Item) -> object:
    return _bounded(kind, item)


def _bounded(kind: type[R], item: Item) -> R | None:
    try:
        return reading.bounded(read(kind, item))
    except BadKey:
        return None


def quarantines(items: Mapping[str, Item]) -> dict[str, QuarantineRecord]:
    """Return why services are quarantined, sorted by service. What cannot be read is left out."""
    keys = sorted(k for k in items if k.startswith(QUARANTINE) and len(k) <= _MOST_KEY)
    found = ((key.removeprefix(QUARANTINE), _read(QuarantineRecord, items[key])) for key in keys)
    return {service: record for service, record in found if record is not None}
