"""Removals that are held somewhere, and saying in etcd that one is meant."""

import secrets
from collections.abc import Mapping

import msgspec

from lbsync.clients.source import Lease, Put, Source
from lbsync.model.records import ConfirmationRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet, publishing
from lbsync.schema.confirming import LIFE_S, confirmation_key
from lbsync.schema.decode import encode
from lbsync.timestamps import stamp
from lbsync.values.plural import first_few

_SHOWN = 3


class Held(msgspec.Struct):
    """One removal, and who holds it."""

    services: dict[str, int]
    """Service to the number of servers it would be left with."""
    holders: list[str]
    more: int = 0
    """How many services are not named."""

    def __str__(self) -> str:
        names = first_few(sorted(self.services), _SHOWN)
        return f"{names or 'everything'}, held by {', '.join(self.holders)}"


def held(snapshot: Snapshot) -> dict[str, Held]:
    """Return what agents and publishers say they hold, by its id."""
    found: dict[str, Held] = {}
    told = [
        (host, record.hold)
        for host, record in fleet.census(snapshot).live.items()
        if record is not None
    ]
    told += [
        (f"publisher {cluster}", known.heartbeat.hold or msgspec.UNSET)
        for cluster, known in publishing.known(snapshot.items).items()
        if known.heartbeat is not None
    ]
    for holder, hold in told:
        if hold is not msgspec.UNSET:
            each = found.setdefault(hold.id, Held({}, []))
            each.services.update(hold.services)
            each.more = max(each.more, hold.more)
            each.holders.append(holder)
    return found


def confirmation_lease(source: Source) -> Lease:
    """Return the lease that a confirmation stands on. Raises `Unavailable`."""
    # Not renewed once this program has ended: then the key is gone after an hour.
    return source.lease(LIFE_S)


def confirmation(
    source: Source,
    services: Mapping[str, int],
    by: str,
    hold_id: str = "",
    *,
    lease: Lease | None = None,
) -> Put:
    """Return the write that confirms that services are left with so many servers.

    `by`: who says so, for people. `hold_id`: of what is held already. `lease`: of an earlier confirmation of the
    same command. Raises `Unavailable`.
    """
    lease = lease or confirmation_lease(source)
    record = ConfirmationRecord(dict(services), by, stamp())
    key = confirmation_key(hold_id or secrets.token_hex(6))
    return Put(key, encode(record), lease.id)
