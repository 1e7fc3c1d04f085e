"""Who did what, when and from where."""

import msgspec

from lbsync.console.facts.state import State
from lbsync.schema import orders


class HistoryEntry(msgspec.Struct, frozen=True):
    """One action of a person."""

    at: str
    """RFC 3339, UTC."""
    by: str
    action: str
    what: str
    detail: str
    host: str
    """Where it was done on one host alone; empty: for all."""


class HistoryView(msgspec.Struct, frozen=True):
    """What people did, the newest first."""

    entries: tuple[HistoryEntry, ...]


def history_view(state: State) -> HistoryView:
    """Return who did what."""
    found = reversed(orders.history(state.snapshot.items))
    return HistoryView(
        tuple(
            HistoryEntry(one.at, one.by, one.action, one.what, one.detail, one.host)
            for one in found
        )
    )
