"""What was confirmed in the store, for the guard. Read only when the guard would hold something."""

from collections.abc import Iterable
from functools import cached_property

from lbsync.agent.desired.decode import Entry
from lbsync.model.snapshot import Snapshot
from lbsync.schema.confirming import Confirmations, confirmations


class Approvals:
    """The confirmations of one snapshot."""

    def __init__(self, snapshot: Snapshot, entries: Iterable[Entry]) -> None:
        """`entries`: what the snapshot asks for; gone through once at most."""
        self._snapshot = snapshot
        self._entries = entries

    def meant(self, service: str, left: int) -> bool:
        """Tell whether it is confirmed that a service is left with so many servers."""
        if not self._found.found:
            return False
        return self._found.covers(service, left, self._newest.get(service, 0))

    def revision(self, hold_id: str) -> int:
        """Return which revision confirmed the removal with this id; 0: none did."""
        confirmed = self._found.found.get(hold_id)
        return confirmed[0] if confirmed is not None else 0

    @cached_property
    def _found(self) -> Confirmations:
        return confirmations(self._snapshot.items)

    @cached_property
    def _newest(self) -> dict[str, int]:
        """Service to the newest revision of its keys."""
        newest: dict[str, int] = {}
        for entry in self._entries:
            name = str(entry.key.service)
            newest[name] = max(newest.get(name, 0), entry.item.mod_revision)
        return newest
