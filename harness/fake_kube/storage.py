"""The fake's etcd: objects under one global version, with a history that can be compacted.

What is stored is never changed in place: every write stores a new dict, so readers need no copies.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.fake_kube.resources import Resource
from harness.fake_kube.status import Json, too_large, too_old

Key = tuple[str, str]
Objects = dict[Key, Json]


@dataclass(frozen=True)
class Record:
    """One write, as etcd would keep it in its history."""

    version: int
    resource: Resource
    key: Key
    before: Json | None
    after: Json | None
    """None: deleted."""
    shown: Json
    """What watches are told: `after`, or the last state with the version of the deletion."""


class Storage:
    """Objects and their history; thread-safe."""

    def __init__(self, version: int = 100, oldest: int = 0) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = version
        self.oldest = oldest
        """What is older than this version can no longer be listed or watched."""
        self.bookmarks = 0
        """How often watches were told to send a bookmark."""
        self._objects: dict[Resource, Objects] = {}
        self._history: list[Record] = []

    def get(self, resource: Resource, key: Key) -> Json | None:
        """Return the object as it is now; None where there is none."""
        with self.changed:
            return self._objects.get(resource, {}).get(key)

    def objects(self, resource: Resource) -> Objects:
        """Return all objects of a resource as of now."""
        with self.changed:
            return dict(self._objects.get(resource, {}))

    def objects_at(self, resource: Resource, version: int) -> Objects:
        """Return all objects as of a version, by undoing what came later."""
        with self.changed:
            if version < self.oldest:
                raise too_old(version, self.oldest)
            if version > self.version:
                raise too_large(version, self.version)
            found = self.objects(resource)
            for record in reversed(self._history):
                if record.version <= version:
                    break
                if record.resource is resource:
                    _set(found, record.key, record.before)
            return found

    def write(self, resource: Resource, key: Key, after: Json | None) -> Json:
        """Store (or with None delete) an object under a new version; return it as stored.

        A deleted object is returned, and told to watches, with the version of its deletion.
        """
        with self.changed:
            self.version += 1
            before = self._objects.get(resource, {}).get(key)
            shown = after if after is not None else before
            assert shown is not None
            stored = shown | {
                "metadata": shown["metadata"] | {"resourceVersion": str(self.version)}
            }
            _set(self._objects.setdefault(resource, {}), key, stored if after is not None else None)
            kept = stored if after is not None else None
            self._history.append(Record(self.version, resource, key, before, kept, stored))
            self.changed.notify_all()
            return stored

    def follow(
        self, resource: Resource, version: int, give_up: Callable[[], float]
    ) -> Iterator[Record | None]:
        """Yield the writes after a version as they come, None for each bookmark asked for.

        `give_up` returns the seconds left; the iteration ends when none are. A version that is
        yet to come yields nothing until it has come, as the real server does.
        """
        with self.changed:
            if version < self.oldest:
                raise too_old(version, self.oldest)
            bookmarks = self.bookmarks
        while True:
            with self.changed:
                batch = self._after(version)
                if not batch and bookmarks == self.bookmarks:
                    left = give_up()
                    if left <= 0:
                        return
                    self.changed.wait(min(left, 1.0))
                    continue
                told = bookmarks != self.bookmarks
                bookmarks = self.bookmarks
                version = batch[-1].version if batch else version
            for record in batch:
                if record.resource is resource:
                    yield record
            if told:
                yield None

    def _after(self, version: int) -> list[Record]:
        start = bisect_right(self._history, version, key=lambda record: record.version)
        return self._history[start:]

    def skip_to(self, version: int) -> None:
        """Let the version grow, as writes of other resources would; never back."""
        with self.changed:
            self.version = max(self.version, version)

    def compact(self, version: int | None = None) -> None:
        """Forget the history before a version (default: all of it)."""
        with self.changed:
            self.oldest = self.version if version is None else version
            self._history = self._after(self.oldest)

    def bookmark(self) -> None:
        """Let every watch that asked for bookmarks send one."""
        with self.changed:
            self.bookmarks += 1
            self.changed.notify_all()

    def backup(self) -> "Backup":
        """Return everything as of now, for `restore`."""
        with self.changed:
            copies = {resource: dict(found) for resource, found in self._objects.items()}
            return Backup(self.version, copies, list(self._history))

    def restore(self, backup: "Backup") -> None:
        """Go back to a backup: the version jumps back with the objects."""
        with self.changed:
            self.version = backup.version
            self._objects = {resource: dict(found) for resource, found in backup.objects.items()}
            self._history = list(backup.history)
            self.changed.notify_all()


@dataclass(frozen=True)
class Backup:
    """A moment of a storage."""

    version: int
    objects: dict[Resource, Objects]
    history: list[Record]


def _set(objects: Objects, key: Key, value: Json | None) -> None:
    if value is None:
        objects.pop(key, None)
    else:
        objects[key] = value
