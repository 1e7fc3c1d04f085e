"""Confirmations in the store, for the guard. Each is valid until the removed servers are back."""

from collections.abc import Callable, Iterable
from functools import cached_property

import msgspec

from lbsync.agent.desired.decode import Entry
from lbsync.model.records import ConfirmationRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema.confirming import Confirmations, confirmations


class Spent:
    """What confirmations say of services that is used up: the servers that they let go were wanted again.

    Keys say nothing of that once they are removed a second time. An agent that starts again finds out
    again: it sees the servers in its first snapshot. For the ids, `RemovalHold` does the same.
    """

    def __init__(self) -> None:
        """Nothing is used up."""
        self._services: dict[tuple[str, int], set[str]] = {}

    def follow(self, confirmed: Confirmations, wanted: Callable[[str], int]) -> None:
        """Take in the desired state of services by the snapshot that `confirmed` is of, in servers."""
        found: dict[tuple[str, int], set[str]] = {}
        for hold_id, (revision, record) in confirmed.found.items():
            back = {name for name, left in record.services.items() if wanted(name) > left}
            found[hold_id, revision] = back | self._services.get((hold_id, revision), set())
        self._services = found

    def rest(self, confirmed: Confirmations) -> Confirmations:
        """Return what still counts, service by service."""
        return Confirmations(
            {
                hold_id: (
                    revision,
                    _without(record, self._services.get((hold_id, revision), set())),
                )
                for hold_id, (revision, record) in confirmed.found.items()
            }
        )


class Approvals:
    """The confirmations of one snapshot."""

    def __init__(self, snapshot: Snapshot, entries: Iterable[Entry], spent: Spent) -> None:
        """`entries`: those of the snapshot; iterated at most once, and only when the guard would hold
        something."""
        self._snapshot = snapshot
        self._entries = entries
        self._spent = spent

    def meant(self, service: str, left: int) -> bool:
        """Tell whether it is confirmed that a service keeps only this many servers."""
        if not self.all.found:
            return False
        return self._rest.covers(service, left, self._newest.get(service, 0))

    @cached_property
    def all(self) -> Confirmations:
        """Those that stand in the store, used up or not."""
        return confirmations(self._snapshot.items)

    @cached_property
    def _rest(self) -> Confirmations:
        return self._spent.rest(self.all)

    @cached_property
    def _newest(self) -> dict[str, int]:
        """Service to the newest revision of its keys."""
        newest: dict[str, int] = {}
        for entry in self._entries:
            name = str(entry.key.service)
            newest[name] = max(newest.get(name, 0), entry.item.mod_revision)
        return newest


def _without(record: ConfirmationRecord, services: set[str]) -> ConfirmationRecord:
    left = {name: left for name, left in record.services.items() if name not in services}
    return msgspec.structs.replace(record, services=left)
