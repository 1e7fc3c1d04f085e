"""Versions compared: what came before what. Pure."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from lbsync.clients.kube.kinds import Entry
from lbsync.clients.kube.store import Change

T = TypeVar("T")


class Stats(msgspec.Struct):
    """Counters of one reflector since its start; each only grows."""

    lists: int = 0
    """Whole lists taken in."""
    watches: int = 0
    """Streams opened."""
    events: int = 0
    """Events taken from streams, bookmarks included."""
    changes: int = 0
    """Changes reported."""
    expired: int = 0
    """Times the server could not go on from our version (410)."""
    rewound: int = 0
    """Times the cluster's history was found to have gone back (restored from a backup)."""
    checks: int = 0
    """Periodic comparisons of a whole list with the store."""
    differences: int = 0
    """Objects those comparisons found wrong; anything but 0 is a fault of a watch."""
    unreadable: int = 0
    """Objects that could not be read; the last readable state of each is kept."""


def older(version: str, than: str) -> bool:
    """Say whether one resourceVersion is older than another.

    Versions that are no numbers are never compared. The API promises numbers since 1.35 only
    (KEP-5504), and they have been numbers all along.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def missed(entries: Sequence[Entry[T]], changes: Sequence[Change[T]], reached: str) -> list[str]:
    """Return what a watch that had reached a version should have told, of a list's changes.

    What changed after that version is news, and no fault. Of what is gone one cannot tell when it
    went, and it counts.
    """
    news = {entry.key for entry in entries if older(reached, entry.version)}
    return [
        f"{change.namespace}/{change.name}"
        for change in changes
        if (change.namespace, change.name) not in news
    ]
