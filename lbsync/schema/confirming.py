"""The keys with which people say that a removal is meant, and how agents and publishers read them.

A key below `confirmations/` hangs on a lease, so it is gone by itself: no clock of any host is asked.
Its name is the id of a held removal, as `lbsync status` shows it; whoever holds that removal lets it
go, agents and publishers alike. Beside that it may name services, each with the number of servers it
may be left with: so a command that takes something away says in the same transaction that this was meant,
and nobody has to hold it first.
"""

from collections.abc import Mapping

import msgspec

from lbsync.decoders import decode
from lbsync.model.records import ConfirmationRecord
from lbsync.model.snapshot import Item

CONFIRMATIONS = "confirmations/"
LIFE_S = 3600
"""How long a confirmation stands. Longer than any window over which removals are added up
(`agent.guard_window`, at most 30m), so that what was meant is not counted when the key is gone."""
NOTHING = ConfirmationRecord()


class Confirmations(msgspec.Struct, frozen=True):
    """What is confirmed at one revision."""

    found: Mapping[str, tuple[int, ConfirmationRecord]] = {}
    """Id to the revision that wrote the key, and what it says."""

    def revision(self, hold_id: str) -> int:
        """Return which revision confirmed the removal with this id; 0: none did."""
        return self.found[hold_id][0] if hold_id in self.found else 0

    def names(self, hold_id: str, revision: int) -> bool:
        """Tell whether the removal with this id may go; `revision`: of the newest key that it concerns.

        A later one is of servers that came back, and a second removal may have the id of the first.
        """
        return hold_id in self.found and revision <= self.revision(hold_id)

    def covers(self, service: str, left: int, revision: int) -> bool:
        """Tell whether it is meant that a service (`<ns>/<name>`) is left with `left` servers.

        `revision`: of the newest of the service's keys, 0 where none is left. What was written after the
        confirmation is not covered by it.
        """
        return any(
            revision <= confirmed and left >= record.services.get(service, left + 1)
            for confirmed, record in self.found.values()
        )


def confirmation_key(hold_id: str) -> str:
    """Return the key that confirms a removal."""
    return f"{CONFIRMATIONS}{hold_id}"


def confirmations(items: Mapping[str, Item]) -> Confirmations:
    """Return all confirmations among `items` (keys without the prefix).

    A value that cannot be read confirms nothing: a guard in doubt goes on holding.
    """
    found: dict[str, tuple[int, ConfirmationRecord]] = {}
    for key in [key for key in items if key.startswith(CONFIRMATIONS)]:
        if (record := _read(items[key])) is not None:
            found[key.removeprefix(CONFIRMATIONS)] = items[key].mod_revision, record
    return Confirmations(found)


def _read(item: Item) -> ConfirmationRecord | None:
    try:
        return decode(item.value, ConfirmationRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
