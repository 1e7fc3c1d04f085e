"""The copy of all keys under the prefix, always as of one revision. Pure; no I/O."""

import threading
from collections.abc import (
    Callable,
    Collection,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from functools import cached_property

import msgspec

from lbsync.model.snapshot import Item, Snapshot

#: Of so many changes since the last listing each is known; then the account begins anew.
_MOST_WRITTEN = 10_000
#: So many keys may differ between a snapshot and the one whose keys it shares.
_MOST_APART = 500


class Change(msgspec.Struct, frozen=True):
    """One event of a watch: a key was written, or is gone (`value` None)."""

    key: bytes
    """Without the prefix."""
    value: bytes | None
    create_revision: int
    mod_revision: int
    leased: bool = False
    """It hangs on a lease."""


class _Keys(Mapping[str, Item]):
    """All keys at one revision: those of an earlier one, which is shared, and what has changed since.

    After each change a snapshot is taken; to copy 20,000 keys for it, and to free them, would be a sixth of the cost of
    a changed server (measured).
    """

    def __init__(self, base: dict[str, Item], changes: Mapping[str, Item | None]) -> None:
        """Neither may change any more. None: the key is gone."""
        self._base, self._changes = base, changes

    def __getitem__(self, key: str) -> Item:
        if key not in self._changes:
            return self._base[key]
        if (item := self._changes[key]) is None:
            raise KeyError(key)
        return item

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def keys(self) -> KeysView[str]:
        return self._all.keys()

    def values(self) -> ValuesView[Item]:
        return self._all.values()

    def items(self) -> ItemsView[str, Item]:
        return self._all.items()

    @cached_property
    def _all(self) -> dict[str, Item]:
        """Made when all of them are asked for."""
        return _changed(self._base, self._changes)


def _changed(base: dict[str, Item], changes: Mapping[str, Item | None]) -> dict[str, Item]:
    every = dict(base)
    for key, item in changes.items():
        if item is None:
            every.pop(key, None)
        else:
            every[key] = item
    return every


class Mirror:
    """Filled by a listing, kept fresh by changes; read by any thread."""

    def __init__(self, quiet: Collection[str] = ()) -> None:
        """`quiet`: first segments of keys whose changes are held, but no news to anybody."""
        self._lock = threading.Lock()
        self._quiet = frozenset(quiet)
        self._followed_revision = self._followed_keys = 0
        self._items: dict[str, Item] = {}
        self._base: dict[str, Item] = {}
        self._changes: dict[str, Item | None] = {}
        """What distinguishes `_items` from `_base`."""
        self._unreadable: set[str] = set()
        self._leased: set[str] = set()
        self._written: list[str] = []
        self._snapshot: Snapshot | None = None
        self._filled = False
        self._listeners: list[tuple[str, Callable[[], None]]] = []
        self.revision = 0
        self.cluster_id = 0

    def listen(self, folder: str, notify: Callable[[], None]) -> None:
        """See `Source.listen`; before the first `replace`."""
        self._listeners.append((folder, notify))

    def replace(self, listing: Snapshot) -> bool:
        """Take over a full listing; return whether anything differs from before."""
        with self._lock:
            same = (
                self._filled
                and self._items == listing.items
                and self._unreadable == set(listing.unreadable)
                and self.cluster_id == listing.cluster_id
            )
            self._items, self._base, self._changes = dict(listing.items), dict(listing.items), {}
            self._unreadable = set(listing.unreadable)
            self._leased = set(listing.leased)
            self._written = []
            self._snapshot = None
            self._filled = True
            self._followed_keys = sum(map(self._is_followed, self._items))
            if not same:
                self._followed_revision = listing.revision
            self.revision = listing.revision
            self.cluster_id = listing.cluster_id
        for _, notify in self._listeners:
            notify()
        return not same

    def apply(self, changes: Iterable[Change]) -> bool:
        """Apply the events of one whole response; return whether there is news among them.

        Events at or below the revision of the mirror are known already and left out.
        """
        with self._lock:
            fresh = [change for change in changes if change.mod_revision > self.revision]
            for change in fresh:
                self._apply(change)
            if fresh:
                self._snapshot = None
                self.revision = fresh[-1].mod_revision
            news = [c for c in fresh if self._is_followed(c.key.decode(errors="replace"))]
            if news:
                self._followed_revision = news[-1].mod_revision
        for folder, notify in self._listeners:
            if any(change.key.startswith(folder.encode()) for change in fresh):
                notify()
        return bool(news)

    def snapshot(self) -> Snapshot | None:
        """Return all keys, or None before the first `replace`. The same object until a change."""
        with self._lock:
            if self._snapshot is None and self._filled:
                if len(self._written) > _MOST_WRITTEN:
                    self._written = []
                self._snapshot = Snapshot(
                    self.revision,
                    self.cluster_id,
                    self._keys(),
                    tuple(sorted(self._unreadable)),
                    frozenset(self._leased),
                    self._followed_revision,
                    self._followed_keys,
                    self._written,
                    len(self._written),
                )
            return self._snapshot

    def _keys(self) -> _Keys:
        if len(self._changes) > _MOST_APART:
            self._base, self._changes = dict(self._items), {}
        return _Keys(self._base, dict(self._changes))

    def leased(self, folder: str) -> Snapshot | None:
        """Return the keys below `folder` that hang on a lease, at the cost of these alone."""
        with self._lock:
            if not self._filled:
                return None
            keys = frozenset(key for key in self._leased if key.startswith(folder))
            return Snapshot(
                self.revision,
                self.cluster_id,
                {key: self._items[key] for key in keys},
                (),
                keys,
                self._followed_revision,
                self._followed_keys,
            )

    def newest(self) -> Item | None:
        """Return the item that was changed last; None when there are no items."""
        with self._lock:
            return max(self._items.values(), key=lambda item: item.mod_revision, default=None)

    def _is_followed(self, key: str) -> bool:
        return key.partition("/")[0] not in self._quiet

    def _apply(self, change: Change) -> None:
        key = readable(change.key)
        if key is None:
            shown = escaped(change.key)
            if change.value is None:
                self._unreadable.discard(shown)
            else:
                self._unreadable.add(shown)
            return
        self._written.append(key)
        if change.value is None:
            self._followed_keys -= key in self._items and self._is_followed(key)
            self._items.pop(key, None)
            self._changes[key] = None
            self._leased.discard(key)
        else:
            self._followed_keys += key not in self._items and self._is_followed(key)
            (self._leased.add if change.leased else self._leased.discard)(key)
            item = Item(key, change.value, change.create_revision, change.mod_revision)
            self._items[key] = self._changes[key] = item


def readable(key: bytes) -> str | None:
    """Return the key as text, or None when it is no UTF-8."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def escaped(key: bytes) -> str:
    """Return a key that is no UTF-8 as text for a report."""
    return key.decode(errors="backslashreplace")


def differences(
    held: Mapping[str, Item], stored: Mapping[str, Item]
) -> dict[str, tuple[Item | None, Item | None]]:
    """Return (what is held, what is stored) for each key where the two differ; None: nothing."""
    return {
        key: (held.get(key), stored.get(key))
        for key in held.keys() | stored.keys()
        if held.get(key) != stored.get(key)
    }
