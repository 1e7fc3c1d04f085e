"""Saying in the store that a removal is meant: with a change that takes servers away, and for the fleet."""

import os
import secrets
import socket
from collections.abc import Mapping

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Decoder
from lbsync.agent.guard.reach import NOWHERE, Reach, loss, reach
from lbsync.cli.service.document import Change, stored
from lbsync.clients.source import Put, Source
from lbsync.model.records import ConfirmationRecord
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.confirming import LIFE_S, confirmation_key
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import stamp


def left_by(snapshot: Snapshot, changes: list[Change], service: ServiceId) -> int | None:
    """Return with how many servers a change leaves a service; None where it takes nothing away."""
    before = stored(snapshot, service)
    after = dict(before)
    for change in changes:
        after.pop(change.key, None)
        if change.after is not None:
            created = change.before.create_revision if change.before else 1
            after[change.key] = Item(change.key, change.after, created, 1)
    old, new = _reached(before), _reached(after)
    lost = loss(old, new, known=not old.ready.isdisjoint(new.places))
    return new.servers if lost.gone or lost.strange else None


def confirmation(source: Source, services: Mapping[str, int], hold_id: str = "") -> Put:
    """Return the write that confirms that services are left with so many servers.

    `hold_id`: of what is held already. Raises `Unavailable`.
    """
    # Not renewed once this command has ended: then the key is gone after an hour.
    lease = source.lease(LIFE_S)
    who = os.environ.get("SUDO_USER") or os.environ.get("USER") or f"user {os.getuid()}"
    record = ConfirmationRecord(dict(services), f"{who} on {socket.gethostname()}", stamp())
    key = confirmation_key(hold_id or secrets.token_hex(6))
    return Put(key, encode(record), lease.id)


def _reached(items: Mapping[str, Item]) -> Reach:
    """Return what is reached of the one service that these are the keys of, were it alone."""
    entries = Decoder().resolve(Snapshot(1, 0, items), {}).entries
    services = Assembler().assemble(entries, 1, ()).services
    return reach(services[0]) if services else NOWHERE
