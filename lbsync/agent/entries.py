"""Snapshot to entries: decode what changed, keep the last good version of what is bad.

A stage of the pass; holds no state but a cache, so that a pass costs what has changed.
"""

from collections.abc import Mapping

import msgspec

from lbsync.errors import BadKey
from lbsync.model.desired import Problem
from lbsync.model.records import Record, RouteRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.decode import decode
from lbsync.schema.keys import Key, ServiceId, endpoints_key, parse_key, service_key


class Entry(msgspec.Struct, frozen=True, eq=False):
    """One good key: what was stored and what it says. Compared by identity."""

    item: Item
    key: Key
    record: Record


Entries = Mapping[str, Entry]


class Resolved(msgspec.Struct, frozen=True, eq=False):
    """The entries to go on with, and what was wrong with the others."""

    entries: dict[str, Entry]
    problems: tuple[Problem, ...]


def read_entry(item: Item) -> Entry | Problem | None:
    """Decode one item; None for keys that are not the agent's business."""
    try:
        key = parse_key(item.key)
    except ValueError as error:
        return Problem(item.key, _service_in(item.key), str(error))
    if key is None:
        return None
    try:
        return Entry(item, key, decode(item.key, key, item.value))
    except BadKey as error:
        return Problem(item.key, str(key.service or ""), error.reason)


def _service_in(key: str) -> str:
    """Return the service that a malformed key most likely meant, or nothing."""
    parts = key.split("/")
    try:
        return str(ServiceId.parse("/".join(parts[1:3])))
    except ValueError:
        return ""


class Decoder:
    """Decodes snapshot after snapshot, each key once per change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Item, Entry | Problem | None]] = {}

    def resolve(self, snapshot: Snapshot, accepted: Entries) -> Resolved:
        """Return the entries of `snapshot`, with `accepted` ones in place of bad ones."""
        fresh: dict[str, tuple[Item, Entry | Problem | None]] = {}
        entries: dict[str, Entry] = {}
        problems = [
            Problem(shown, "", "the key is no UTF-8; remove it") for shown in snapshot.unreadable
        ]
        known = self._known
        for name, item in snapshot.items.items():
            pair = known.get(name)
            if pair is None or (pair[0] is not item and pair[0] != item):
                good = accepted.get(name)
                # After a restart the accepted entries are decoded already; most are unchanged.
                pair = (item, good if good and good.item == item else read_entry(item))
            fresh[name] = pair
            result = pair[1]
            if isinstance(result, Entry):
                entries[name] = result
            elif isinstance(result, Problem):
                problems.append(result)
                if name in accepted:
                    entries[name] = accepted[name]
        self._known = fresh
        return Resolved(entries, tuple(sorted(problems, key=lambda problem: problem.key)))


def settle_routes(entries: dict[str, Entry], accepted: Entries) -> list[Problem]:
    """Put the accepted route back wherever a new one names a group that has no endpoints key.

    A misspelt group in a blue-green switch must not send traffic nowhere; the switch takes place
    by itself once the endpoints are there. Changes `entries`; returns what was found.
    """
    problems = []
    for name, entry in list(entries.items()):
        if not isinstance(entry.record, RouteRecord) or entry.key.service is None:
            continue
        service = entry.key.service
        lost = [
            group
            for group, share in entry.record.groups.items()
            if share and endpoints_key(service, group) not in entries
        ]
        if not lost or service_key(service) not in entries:
            continue
        cure = f"write endpoints/{service}/{lost[0]} or correct the name"
        if name in accepted and accepted[name] is not entry:
            entries[name] = accepted[name]
            cure += "; the route before it stays"
        problems.append(
            Problem(name, str(service), f"groups: {lost[0]} has no endpoints key: {cure}")
        )
    return problems


def keys_of(entries: Entries, services: set[ServiceId]) -> list[str]:
    """Return the names of all entries that belong to `services`."""
    return [name for name, entry in entries.items() if entry.key.service in services]


def hold_back(entries: Entries, accepted: Entries, services: set[ServiceId]) -> dict[str, Entry]:
    """Return `entries` with every key of `services` as it was accepted (or absent)."""
    if not services:
        return dict(entries)
    mixed = {name: entry for name, entry in entries.items() if entry.key.service not in services}
    mixed.update((name, accepted[name]) for name in keys_of(accepted, services))
    return mixed
