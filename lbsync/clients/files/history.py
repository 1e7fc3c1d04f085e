"""Revisions for a store that has none. Pure; no I/O."""

from collections.abc import Mapping

import msgspec

from lbsync.clients.files.contents import Reading
from lbsync.model.snapshot import Item, Snapshot


class History:
    """Numbers what changed from one reading to the next.

    Keys that are first seen together are created in the order of their names, each at a revision of
    its own, so that there is always an older one.
    """

    def __init__(self, known: Mapping[str, Item] | None = None) -> None:
        """`known`: keys as they were when another process knew them; what is there still keeps its
        revisions, and those to come are higher. Without them revisions count from 1."""
        self._items = dict(known or {})
        self._begin = max((item.mod_revision for item in self._items.values()), default=1)
        self._snapshot: Snapshot | None = None

    def take(self, reading: Reading) -> bool:
        """Take over a reading; return whether anything changed (the first always does)."""
        before = self._snapshot
        old = self._items
        revision = before.revision if before else self._begin
        changed = [
            key for key, item in old.items() if reading.values.get(key, item.value) != item.value
        ]
        gone = old.keys() - reading.values.keys()
        items = {key: item for key, item in old.items() if key not in gone}
        if changed or gone:
            revision += 1
        for key in changed:
            items[key] = msgspec.structs.replace(
                items[key], value=reading.values[key], mod_revision=revision
            )
        for key in sorted(reading.values.keys() - old.keys()):
            revision += 1
            items[key] = Item(key, reading.values[key], revision, revision)
        if before and revision == before.revision and before.unreadable == reading.unreadable:
            return False
        self._items = items
        self._snapshot = Snapshot(revision, 0, items, reading.unreadable)
        return True

    def snapshot(self) -> Snapshot | None:
        """Return the keys as of the last reading; None before the first."""
        return self._snapshot
