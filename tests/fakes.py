"""Small stand-ins that keep the promises of the real thing; they sit the same exam."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from lbsync.clients.source import Delete, ExpectBelow, Guard, Health, Put
from lbsync.errors import Conflict, Unavailable
from lbsync.fleet import is_followed
from lbsync.model.snapshot import Item, Snapshot


class FakeLease:
    """Lives until it is ended."""

    def __init__(self, identity: int, end: Callable[[int], None]) -> None:
        self._id = identity
        self._end = end
        self._alive = True

    @property
    def id(self) -> int:
        return self._id

    def stop(self) -> None:
        """Nothing is renewed here; the keys go with `end`."""

    def remaining(self) -> float:
        return 3600.0 if self._alive else 0.0

    def end(self) -> None:
        if self._alive:
            self._alive = False
            self._end(self._id)


class FakeSource:
    """A source in memory. `break_off` and `mend` play an outage; `put` and `delete` are shorthand."""

    def __init__(self, values: dict[str, bytes] | None = None) -> None:
        self._lock = threading.RLock()
        self._items: dict[str, Item] = {}
        self._hanging: dict[str, int] = {}
        self._revision = 1
        self._followed_revision = 1
        self._wake: Callable[[], None] | None = None
        self.told: dict[str, bytes] = {}
        """What was written beside the prefix; it stays when its lease ends."""
        self._listeners: list[tuple[str, Callable[[], None]]] = []
        self._outage: str | None = None
        self._since = time.time()
        self._leases = itertools.count(1)
        for key, value in (values or {}).items():
            self.put(key, value)

    def put(self, key: str, value: bytes) -> int:
        """Write one key; return the revision."""
        return self.commit([], [Put(key, value)])

    def delete(self, *keys: str) -> int:
        """Remove keys at one revision; return it."""
        return self.commit([], [Delete(key) for key in keys])

    def break_off(self, reason: str = "the store does not answer") -> None:
        """Begin an outage: the mirror stays, everything else is `Unavailable`."""
        self._set_outage(reason)

    def mend(self) -> None:
        """End the outage."""
        self._set_outage(None)

    @property
    def shared(self) -> bool:
        return True

    def snapshot(self) -> Snapshot:
        with self._lock:
            if self._wake is None:
                self._reach()
            leased = frozenset(key for key, lease in self._hanging.items() if lease)
            followed = self._followed_revision
            return Snapshot(self._revision, 1, dict(self._items), (), leased, followed)

    def leased(self, folder: str) -> Snapshot:
        there = self.snapshot()
        keys = frozenset(key for key in there.leased if key.startswith(folder))
        items = {key: there.items[key] for key in keys}
        return msgspec.structs.replace(there, items=items, leased=keys)

    def tell(self, key: str, value: bytes, lease: int) -> None:
        self._reach()
        self.told[key] = value

    def listen(self, folder: str, notify: Callable[[], None]) -> None:
        self._listeners.append((folder, notify))

    def start(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        wake()

    def health(self) -> Health:
        watching = self._wake is not None
        ok = watching and self._outage is None
        return Health(ok, self._outage or ("watching" if watching else "not watching"), self._since)

    def get(self, key: str) -> Item | None:
        with self._lock:
            self._reach()
            return self._items.get(key)

    def below(self, folder: str) -> dict[str, Item]:
        with self._lock:
            self._reach()
            return {key: item for key, item in self._items.items() if key.startswith(folder)}

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        with self._lock:
            self._reach()
            for guard in expect:
                if isinstance(guard, ExpectBelow):
                    self._check_below(guard)
                    continue
                item = self._items.get(guard.key)
                field = "create_revision" if guard.mod_revision is None else "mod_revision"
                if getattr(item, field, 0) != getattr(guard, field):
                    raise Conflict(f"{guard.key}: is at {field} {getattr(item, field, 0)}")
            if any(isinstance(op, Put) or op.key in self._items for op in ops):
                self._revision += 1
            if any(is_followed(op.key) for op in ops):
                self._followed_revision = self._revision
            for op in ops:
                self._do(op)
        for folder, notify in self._listeners:
            if any(op.key.startswith(folder) for op in ops):
                notify()
        if self._wake:
            self._wake()
        return self._revision

    def read(self, keys: Sequence[str], folders: Sequence[str] = ()) -> Snapshot:
        with self._lock:
            self._reach()
            found = {
                key: item
                for key, item in self._items.items()
                if key in keys or key.startswith(tuple(folders))
            }
            leased = frozenset(key for key in found if self._hanging.get(key))
            return Snapshot(self._revision, 1, found, (), leased)

    def lease(self, ttl: int) -> FakeLease:
        self._reach()
        return FakeLease(next(self._leases), self._end_lease)

    def close(self) -> None:
        self._wake = None

    def _do(self, op: Put | Delete) -> None:
        if isinstance(op, Delete):
            self._items.pop(op.key, None)
            self._hanging.pop(op.key, None)
            return
        known = self._items.get(op.key)
        created = known.create_revision if known else self._revision
        self._items[op.key] = Item(op.key, op.value, created, self._revision)
        self._hanging[op.key] = op.lease

    def _check_below(self, guard: ExpectBelow) -> None:
        for key, item in self._items.items():
            if key.startswith(guard.folder) and item.mod_revision > guard.revision:
                raise Conflict(f"{key}: was written at revision {item.mod_revision}")

    def _end_lease(self, identity: int) -> None:
        self.delete(*[key for key, lease in self._hanging.items() if lease == identity])

    def _reach(self) -> None:
        if self._outage:
            raise Unavailable(self._outage)

    def _set_outage(self, reason: str | None) -> None:
        self._outage, self._since = reason, time.time()
        if self._wake:
            self._wake()
