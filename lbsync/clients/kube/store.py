"""The objects a reflector knows, readable from any thread, and what changed in them."""

import threading
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from lbsync.clients.kube.kinds import Entry, Key, Kind

T = TypeVar("T")


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One object that is not what it was. A wake-up: read the store for what holds now."""

    kind: str
    namespace: str
    name: str
    before: T | None
    """None: it was not there. With `after`, this tells whom a change concerns, such as the Service
    that a slice belonged to."""
    after: T | None
    """None: it is gone. An object deleted and created again (another uid) is one change with both."""
    compared: bool = False
    """Found by comparing a whole list with what was known: nobody was seen to do it."""


class Store(Mapping[Key, T], Generic[T]):
    """Objects by (namespace, name). Written by one reflector; every read is one moment's truth."""

    def __init__(self, kind: Kind[T]) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._values: dict[Key, T] = {}
        self._groups: dict[Key, dict[Key, T]] = {}

    def __getitem__(self, key: Key) -> T:
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of this moment; the store may change meanwhile."""
        with self._lock:
            return iter(list(self._values))

    def snapshot(self) -> dict[Key, T]:
        """Return everything, as of one moment."""
        with self._lock:
            return dict(self._values)

    def group(self, namespace: str, index: str) -> dict[Key, T]:
        """Return the objects whose `Kind.index` says `index`, such as all slices of a Service."""
        with self._lock:
            return dict(self._groups.get((namespace, index), {}))

    def shared(self, entry: Entry[T]) -> Entry[T]:
        """Return the entry with the value we have, where that says the same: one copy is enough."""
        known = self._values.get(entry.key)
        if known is None or known != entry.value:
            return entry
        return Entry(entry.key, entry.version, known)

    def put(self, entry: Entry[T]) -> Change[T] | None:
        """Take an object in; return what changed, None when it says the same as before.

        An object that cannot be read leaves the last readable one in place.
        """
        if entry.value is None:
            return None
        before = self._values.get(entry.key)
        if before == entry.value:
            return None
        with self._lock:
            self._set(entry.key, before, entry.value)
        return self._change(entry.key, before, entry.value)

    def drop(self, key: Key) -> Change[T] | None:
        """Take an object out; None when it was not there."""
        before = self._values.get(key)
        if before is None:
            return None
        with self._lock:
            self._set(key, before, None)
        return self._change(key, before, None)

    def replace(self, entries: list[Entry[T]]) -> list[Change[T]]:
        """Make the store hold exactly these objects, in one step; return what changed.

        Compared by content and not by version: a cluster restored from a backup counts versions
        again, and the same number may then stand for something else.
        """
        wanted: dict[Key, T] = {}
        for entry in entries:
            value = self._values.get(entry.key) if entry.value is None else entry.value
            if value is not None:
                wanted[entry.key] = value
        before = self._values
        changes = [
            self._change(key, before.get(key), wanted.get(key), compared=True)
            for key in before.keys() | wanted.keys()
            if before.get(key) != wanted.get(key)
        ]
        groups = _grouped(self._kind, wanted)
        with self._lock:
            self._values = wanted
            self._groups = groups
        return changes

    def _set(self, key: Key, before: T | None, after: T | None) -> None:
        index = self._kind.index
        if index is not None and before is not None:
            at = (key[0], index(before))
            group = self._groups[at]
            del group[key]
            if not group:
                del self._groups[at]
        if after is None:
            del self._values[key]
            return
        self._values[key] = after
        if index is not None:
            self._groups.setdefault((key[0], index(after)), {})[key] = after

    def _change(
        self, key: Key, before: T | None, after: T | None, *, compared: bool = False
    ) -> Change[T]:
        return Change(self._kind.name, key[0], key[1], before, after, compared)


def _grouped(kind: Kind[T], values: dict[Key, T]) -> dict[Key, dict[Key, T]]:
    groups: dict[Key, dict[Key, T]] = {}
    if kind.index is not None:
        for key, value in values.items():
            groups.setdefault((key[0], kind.index(value)), {})[key] = value
    return groups
