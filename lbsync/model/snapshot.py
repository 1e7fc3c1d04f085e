"""What a source hands over: all keys under the prefix, as of one revision."""

from collections.abc import Mapping

import msgspec


class Item(msgspec.Struct, frozen=True, gc=False):
    """One key and its value, as stored."""

    key: str
    """The key without the prefix: `services/shop/cart`."""
    value: bytes
    create_revision: int
    """The revision that created the key; decides who owns a host (the oldest claim wins)."""
    mod_revision: int
    """The revision of the last change; equal values with equal `mod_revision` are the same."""


class Snapshot(msgspec.Struct, frozen=True):
    """All keys under the prefix at one revision. Never changed after it was made."""

    revision: int
    cluster_id: int
    """etcd's cluster id; 0 for the file source. A change means: everything may be different."""
    items: Mapping[str, Item]
    """Key (without the prefix) to item, in no particular order. Only keys that are valid UTF-8;
    others are reported in `unreadable`."""
    unreadable: tuple[str, ...] = ()
    """Keys that are no UTF-8, shown with backslash escapes, for the report."""
    leased: frozenset[str] = frozenset()
    """Keys that hang on a lease, so that their writer was alive a moment ago."""
    followed_revision: int = 0
    """Revision of the last change that is news to whoever holds this: other keys move `revision`, too.
    It may be given too late; 0 if nobody keeps it."""
    followed_keys: int = 0
    """How many keys of `items` are such."""
    written: list[str] | None = None
    """Every key that was written or removed since the source was last listed, in order; None: nobody keeps
    it. Later snapshots share the list and let it grow: of this one are the first `written_count`."""
    written_count: int = 0

    def changed_since(self, before: "Snapshot") -> list[str] | None:
        """Return the keys that were written or removed since `before`; None: it takes a comparison of all."""
        if self.written is None or self.written is not before.written:
            return None
        return self.written[before.written_count : self.written_count]
