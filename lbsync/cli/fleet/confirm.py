"""Saying in etcd that a removal is meant: with a change that takes servers away, and by `lbsync confirm
--fleet` for all hosts and publishers."""

import os
import secrets
import socket
import time
from collections.abc import Mapping

import msgspec

from lbsync.cli.context import source_opened
from lbsync.cli.fleet.wait import awaiting, history_of
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Put, Source
from lbsync.errors import Conflict, Exit, Unavailable
from lbsync.model.records import ConfirmationRecord
from lbsync.model.snapshot import Snapshot
from lbsync.schema import fleet, publishing
from lbsync.schema.confirming import LIFE_S, confirmation_key
from lbsync.schema.decode import encode
from lbsync.schema.reading import one_line
from lbsync.settings import Duration, Settings
from lbsync.timestamps import stamp
from lbsync.values.plural import count

_POLL_S = 0.1
_SHOWN = 3


class Held(msgspec.Struct):
    """One removal, and who holds it."""

    services: dict[str, int]
    """Service to the number of servers it would be left with."""
    holders: list[str]

    def __str__(self) -> str:
        names = ", ".join(sorted(self.services)[:_SHOWN])
        more = f" and {len(self.services) - _SHOWN} more" if len(self.services) > _SHOWN else ""
        return f"{names or 'everything'}{more}, held by {', '.join(self.holders)}"


def run(settings: Settings, hold_id: str, wait: Duration) -> Exit:
    """Confirm what is held under an id (empty: the only one there is), and wait until nobody holds it, and
    none of those who did has a reload to come.

    Raises `Conflict` when nothing, or something else, is held; `Rejected` for a source without a
    fleet; `Unavailable`.
    """
    with source_opened(settings) as source:
        history_of(source)
        snapshot = source.snapshot()
        found = held(snapshot)
        if not found:
            if silent := sorted(fleet.census(snapshot).gone):
                raise Unavailable(
                    f"no host that reports holds anything; nobody knows of {', '.join(silent)}: "
                    "see 'lbsync status --fleet'"
                )
            Terminal().line("nothing is held anywhere")
            return Exit.OK
        name = _chosen(found, hold_id)
        revision = source.commit([], [confirmation(source, found[name].services, name)])
        with awaiting(source, revision):
            later = _wait(source, name, found[name].holders, wait)
    if later:
        on = "; ".join(f"{host}: {why}" for host, why in later.items())
        Terminal().line(
            f"confirmed: {found[name]}; what is not gone yet goes with a reload that waits on {on}"
        )
        return Exit.UNVERIFIED
    Terminal().line(f"confirmed and done: {found[name]}")
    return Exit.OK


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
            each.holders.append(holder)
    return found


def _chosen(found: dict[str, Held], hold_id: str) -> str:
    names = [name for name in found if name.startswith(hold_id)]
    if len(names) == 1:
        return names[0]
    listed = "; ".join(f"{name}: {each}" for name, each in sorted(found.items()))
    if hold_id and not names:
        raise Conflict(f"nobody holds {hold_id}; held are {listed}")
    raise Conflict(f"say which of {count(len(names), 'removal')}: {listed}")


def _wait(source: Source, name: str, holders: list[str], wait: Duration) -> dict[str, str]:
    """Return which of `holders` have a reload to come when the time is up, and why that waits.

    Raises `Unavailable` where it is still held then.
    """
    deadline = time.monotonic() + wait.seconds
    while True:
        snapshot = source.snapshot()
        each = held(snapshot).get(name)
        still = waiting(snapshot, holders)
        if each is None and not still:
            return {}
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    if each is not None:
        raise Unavailable(
            f"the confirmation is written, but after {wait} it is still held by "
            f"{', '.join(each.holders)}; it is obeyed for an hour"
        )
    return still


def waiting(snapshot: Snapshot, holders: list[str]) -> dict[str, str]:
    """Return which of `holders` have a reload to come, and why it waits."""
    records = fleet.census(snapshot).live
    found = {host: records.get(host) for host in holders}
    return {
        host: one_line(record.waits) for host, record in found.items() if record and record.waits
    }
