"""What this host reports to the fleet, and what it may change in the reports of others. Pure.

Several hosts find the same fault in the same service, and share one key for it:

* a host that finds no key creates it; a host that finds its own updates it;
* a key of another host stays as long as that host is live (has its key under `agents/`), because it
  will remove the key itself when the service has recovered;
* if that host is gone, any other takes the key over, or removes it if the service has recovered.

All of this is guarded by what was read, so a late writer changes nothing.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from lbsync.clients.source import Delete, Expect, Put
from lbsync.errors import BadKey
from lbsync.fleet import SERVING
from lbsync.model.records import AgentRecord, HoldRecord, QuarantineRecord
from lbsync.model.snapshot import Item
from lbsync.schema import fleet
from lbsync.schema.decode import encode
from lbsync.status import Status, certificates_ending
from lbsync.timestamps import stamp

_MOST_NAMES = 1000
_MOST_WORDS = 2000
_MOST_HELD = 5000
_MOST_CERTIFICATES = 100
_BAD = frozenset({"failing", "unconfirmed"})

News = Literal["none", "times", "content"]
"""How two records of one host differ: not at all, in the times alone, or in what they say."""


class GuardedWrite(msgspec.Struct, frozen=True):
    """A write to etcd that is done only if every guard holds."""

    guards: tuple[Expect, ...]
    op: Put | Delete


class PublishedRecord(msgspec.Struct, frozen=True):
    """What was last written."""

    record: AgentRecord
    value: bytes
    revision: int
    at: float
    """Monotonic clock."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a service is quarantined on this host."""

    reason: str
    line: int
    since: float
    """Seconds since 1970."""


def record_of(status: Status) -> AgentRecord:
    """Return what the fleet is told about a host in this status."""
    return AgentRecord(
        revision=status.revision,
        generation=status.generation,
        digest=status.digest,
        applied_at=_stamp(status.confirmed_at),
        verified_at=_stamp(status.verified_at),
        haproxy=status.haproxy,
        quarantined=tuple(sorted(refusals(status))[:_MOST_NAMES]),
        held=_held(status),
        hold=_hold(status),
        error=(status.error or status.unanswered)[:_MOST_WORDS] or UNSET,
        state=status.state,
        refused_settings=status.refused_settings[:_MOST_WORDS],
        certificates=_ending(status),
        waits=status.waits[:_MOST_WORDS],
        seen=status.revision_seen,
        draining=status.draining,
        lbsync=status.lbsync,
        pid=status.pid,
        started_at=_stamp(status.started_at),
        reloads=status.reloads,
        reload_reason=status.reload_reason[:_MOST_WORDS],
    )


def _ending(status: Status) -> dict[str, str]:
    """Return the certificates that somebody should renew; all others would be written in vain."""
    soon = certificates_ending(status.certificates, status.written_at)
    return {file: _stamp(at) for at, file in soon[:_MOST_CERTIFICATES]}


def _held(status: Status) -> dict[str, str]:
    """Return what waits for somebody's decision: a removal, and what somebody set by hand."""
    held = {"removal": f"{status.held} (id {status.hold_id})"} if status.held else {}
    for sentence in status.by_hand[:_MOST_NAMES]:
        what, _, how = sentence.partition(": ")
        held[what] = how
    return held


def _hold(status: Status) -> HoldRecord | UnsetType:
    """Return the removal that is held. Its `since` is in whole seconds: the clocks that it is worked out
    from differ by less, and a record that differs is written."""
    if not status.hold_id:
        return UNSET
    named = dict(islice(sorted(status.hold_services.items()), _MOST_HELD))
    more = len(status.hold_services) - len(named)
    return HoldRecord(status.hold_id, named, more, _stamp(round(status.hold_since)))


def news(told: AgentRecord | None, now: AgentRecord, followed: int = 0) -> News:
    """Return how a record differs from the last one.

    `followed`: revision of the last change that agents follow. What others write moves the revision as well,
    the records of other hosts included: if that counted, hosts would answer each other for ever.
    """
    if told is None:
        return "content"
    if told == now:
        return "none"
    same = msgspec.structs.replace(
        told, verified_at=now.verified_at, seen=now.seen, up_to=now.up_to
    )
    if followed and followed <= told.revision <= now.revision:
        same = msgspec.structs.replace(same, revision=now.revision)
    return "times" if same == now else "content"


def is_pressing(told: AgentRecord, now: AgentRecord, awaited: Iterable[int]) -> bool:
    """Tell whether a record has news that requires action or was asked for, such as why a revision that a client
    waits for is not served."""
    if (told.state in _BAD, told.quarantined) != (now.state in _BAD, now.quarantined):
        return True
    is_awaited = any(not _says(told, revision) for revision in awaited)
    if is_awaited and (told.state, bool(told.waits)) != (now.state, bool(now.waits)):
        return True
    before, after = (record.hold and record.hold.id for record in (told, now))
    return (before, told.draining, told.order) != (after, now.draining, now.order)


def answers_waiter(told: AgentRecord, now: AgentRecord, awaited: Iterable[int]) -> bool:
    """Tell whether `now` answers a client that waits for one of these revisions, and `told` does not."""
    return any(_says(now, revision) and not _says(told, revision) for revision in awaited)


def _says(record: AgentRecord, revision: int) -> bool:
    """Tell whether a record says by itself that this revision is served."""
    return record.state in SERVING and max(record.revision, record.up_to) >= revision


def _stamp(at: float) -> str:
    """Return a moment as the record bears it; empty for 0."""
    return stamp(at, milliseconds=True) if at else ""


def refusals(status: Status) -> dict[str, Refusal]:
    """Return why each service is quarantined; what concerns no service is left out."""
    found: dict[str, list[Refusal]] = {}
    for one in status.quarantined:
        if one.service:
            named = (
                one.reason if one.key == f"services/{one.service}" else f"{one.key}: {one.reason}"
            )
            found.setdefault(one.service, []).append(Refusal(named, one.line, one.since))
    return {service: _together(several) for service, several in found.items()}


def _together(several: list[Refusal]) -> Refusal:
    return Refusal(
        "; ".join(one.reason for one in several)[:_MOST_WORDS],
        next((one.line for one in several if one.line), 0),
        min(one.since for one in several),
    )


def pending_writes(
    refused: Mapping[str, Refusal], items: Mapping[str, Item], host: str, revision: int
) -> Iterable[GuardedWrite]:
    """Yield the writes after which `quarantine/` says what this host refuses.

    `items`: all keys as last seen; `revision`: that of the source when this host last read it.
    """
    stored = {
        key.removeprefix(fleet.QUARANTINE) for key in items if key.startswith(fleet.QUARANTINE)
    }
    for service in sorted(stored | refused.keys()):
        key = fleet.quarantine_key(service)
        item, refusal = items.get(key), refused.get(service)
        told = _told(item)
        if item is not None and told is not None and told.host != host:
            if fleet.agent_key(told.host) in items:
                continue
            guards: tuple[Expect, ...] = (
                Expect(key, mod_revision=item.mod_revision),
                Expect(fleet.agent_key(told.host), create_revision=0),
            )
        else:
            guards = (Expect(key, mod_revision=item.mod_revision if item else 0),)
        if refusal is None and told is None:
            continue  # perhaps of an lbsync to come; not ours to judge
        op = _op(key, refusal, told, host, revision)
        if op is not None:
            yield GuardedWrite(guards, op)


def _told(item: Item | None) -> QuarantineRecord | None:
    """Return what a key says; one that cannot be read is as good as nobody's."""
    try:
        return fleet.read(QuarantineRecord, item) if item else None
    except BadKey:
        return None


def _op(
    key: str, refusal: Refusal | None, told: QuarantineRecord | None, host: str, revision: int
) -> Put | Delete | None:
    if refusal is None:
        return Delete(key)
    line = refusal.line or UNSET
    since = _stamp(refusal.since)
    if told is not None and told.host == host:
        if (told.reason, told.line) == (refusal.reason, line):
            return None
        since = told.since  # held since then, for one reason or another
    return Put(key, encode(QuarantineRecord(refusal.reason, revision, host, since, line)))
