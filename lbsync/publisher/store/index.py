"""What the store holds of each Service, ours and others', kept fresh from snapshots. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lbsync.model.snapshot import Item, Snapshot
from lbsync.publisher.store.neighbours import Neighbours
from lbsync.schema import reading
from lbsync.schema.keys import parse_key
from lbsync.schema.publishing import kept_prefix, reports_prefix


class Held(msgspec.Struct, frozen=True):
    """A key as it is stored, and who wrote it."""

    item: Item
    source: str
    """Who wrote it, as far as the value tells; empty: a person, or nobody knows."""


Keys = Mapping[str, Held]
_NOTHING: dict[str, Held] = {}


class _Signed(msgspec.Struct):
    source: Any = None


def base_of(ns: str, name: str) -> str:
    """Return the Service that a record's name stems from.

    `<name>.…` are the further records of one Service; no Service's own name holds a dot.
    """
    return f"{ns}/{name.partition('.')[0]}"


class StoreIndex:
    """All keys that concern Services, by Service, and the reports of one publisher.

    What this publisher writes is taken in at once with `wrote`; the mirror behind the snapshots may
    be some milliseconds late, and does not set those keys back.
    """

    def __init__(self, cluster: str) -> None:
        self._reports = reports_prefix(cluster)
        self._kept = kept_prefix(cluster)
        self._own = (self._reports, self._kept)
        self._groups: dict[str, dict[str, Held]] = {}
        self._base: dict[str, str] = {}
        self._kept_keys: set[str] = set()
        self._ahead: dict[str, int] = {}
        self._items: Mapping[str, Item] = {}
        self._revision = 0
        self._cluster_id = 0
        self.neighbours = Neighbours()

    @property
    def revision(self) -> int:
        """Up to which everything is known that anybody wrote; of our own writes also later ones are."""
        return self._revision

    def of(self, service: str) -> Keys:
        """Return the keys that stem from a Service (`<ns>/<name>`), or bear such a name."""
        return self._groups.get(service, _NOTHING)

    def get(self, key: str) -> Held | None:
        """Return what is stored at a key; None if nothing is."""
        base = self._base.get(key)
        return self._groups[base].get(key) if base is not None else None

    def report(self, kind: str, name: str) -> Held | None:
        """Return our report about an object."""
        return self.get(f"{self._reports}{kind}/{name}")

    def services_of(self, source: str) -> set[str]:
        """Return the Services of which at least one key has this source, or that have a report."""
        found = {
            base
            for base, group in self._groups.items()
            if any(held.source == source for held in group.values())
        }
        return found | set(self.reported("service")) | self.kept().keys()

    def kept(self) -> dict[str, Held]:
        """Return the keys that say what is kept for Services that went, by Service."""
        return {
            key.removeprefix(self._kept): self._groups[key][key] for key in sorted(self._kept_keys)
        }

    def reported(self, kind: str) -> list[str]:
        """Return the names of the objects of a kind that we have a report about."""
        start = f"{self._reports}{kind}/"
        return [key.removeprefix(start) for key in self._base if key.startswith(start)]

    def update(self, snapshot: Snapshot) -> set[str]:
        """Take a snapshot in; return the Services of which a key, or of whose neighbours one, is not as
        it was."""
        if snapshot.revision == self._revision and snapshot.cluster_id == self._cluster_id:
            return self._affected()
        touched: set[str] = set()
        if snapshot.revision < self._revision or snapshot.cluster_id != self._cluster_id:
            touched |= self._forget()
        self._revision, self._cluster_id = snapshot.revision, snapshot.cluster_id
        ahead, self._ahead = self._ahead, {}
        for key, revision in ahead.items():
            if revision > snapshot.revision:
                self._ahead[key] = revision
        before, self._items = self._items, snapshot.items
        for key, item in snapshot.items.items():
            if before.get(key) is item or key in self._ahead:
                continue
            held = self.get(key)
            if held is None or held.item != item:
                touched.add(self._set(key, item))
        # What we wrote may be gone again without any snapshot ever having shown it.
        for key in (before.keys() | ahead.keys()) - snapshot.items.keys():
            if key not in self._ahead and self.get(key) is not None:
                touched.add(self._set(key, None))
        return (touched - {""}) | self._affected()

    def wrote(self, revision: int, written: Iterable[tuple[str, bytes | None]]) -> None:
        """Take in what a transaction of ours wrote at a revision; None: removed."""
        for key, value in written:
            before = self.get(key)
            item = None
            if value is not None:
                created = before.item.create_revision if before else revision
                item = Item(key, value, created, revision)
            self._set(key, item)
            if revision > self._revision:
                self._ahead[key] = revision

    def _forget(self) -> set[str]:
        """Start again with another history: what was written in this one may be gone.

        Return the Services that keys were known of.
        """
        known = set(self._groups)
        self._ahead.clear()
        self._groups.clear()
        self.neighbours.forget()
        self._base.clear()
        self._kept_keys.clear()
        self._items = {}
        return {base for base in known if not base.startswith(self._own)}

    def _affected(self) -> set[str]:
        """Return the Services whose neighbours' claims are not as they were, our own writes included."""
        return {base_of(found.ns, found.name) for found in self.neighbours.affected()}

    def _set(self, key: str, item: Item | None) -> str:
        """Put one key in its place; return its Service, or nothing where it is no such key."""
        base = self._base_of(key)
        if not base:
            return ""
        self.neighbours.note(key, item)
        if key.startswith(self._kept):
            (self._kept_keys.add if item is not None else self._kept_keys.discard)(key)
        group = self._groups.setdefault(base, {})
        if item is not None:
            group[key] = Held(item, _source(item.value))
            self._base[key] = base
        else:
            group.pop(key, None)
            self._base.pop(key, None)
        if not group:
            del self._groups[base]
        return "" if key.startswith(self._own) else base

    def _base_of(self, key: str) -> str:
        if base := self._base.get(key):
            return base
        if key.startswith(self._own):
            return key
        try:
            parsed = parse_key(key)
        except ValueError:
            return ""
        if parsed is None or parsed.service is None:
            return ""
        return base_of(parsed.service.ns, parsed.service.name)


def neighbours_of(keys: Keys, stored: StoreIndex) -> tuple[str, ...]:
    """Return who else claims what falls under the claims in these services keys."""
    led = (parse_key(key) for key in sorted(keys) if key.startswith("services/"))
    names = (found.service for found in led if found is not None and found.service is not None)
    return tuple(text for name in names for text in stored.neighbours.told(name))


def _source(value: bytes) -> str:
    try:
        source = reading.record(value, _Signed).source
    except reading.Unreadable:
        return ""
    return source if isinstance(source, str) else ""
