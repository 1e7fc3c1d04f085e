"""The keys that agents write about themselves and their findings, and how they are read."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from lbsync.errors import BadKey
from lbsync.model.records import AgentRecord, QuarantineRecord
from lbsync.model.snapshot import Item
from lbsync.schema import reading
from lbsync.schema.keys import ServiceId

AGENTS = "agents/"
QUARANTINE = "quarantine/"

R = TypeVar("R", AgentRecord, QuarantineRecord)


def agent_key(host: str) -> str:
    """Return the key under which a host says what it serves."""
    return f"{AGENTS}{host}"


def quarantine_key(service: ServiceId | str) -> str:
    """Return the key that tells the owner of a service why it is held back."""
    return f"{QUARANTINE}{service}"


def read(kind: type[R], item: Item) -> R:
    """Return the record of one key. Raises `BadKey`, and nothing else."""
    try:
        return reading.record(item.value, kind)
    except reading.Unreadable as error:
        raise BadKey(item.key, f"was not written by an agent ({error}); remove it") from error


def agents(items: Mapping[str, Item], root: str = AGENTS) -> dict[str, AgentRecord | None]:
    """Return what each live host says, sorted by host; None for what cannot be read: the host is
    there all the same. `root`: what the keys begin with, where not all of it is read."""
    return dict(_below(root, AgentRecord, items))


def quarantines(items: Mapping[str, Item]) -> dict[str, QuarantineRecord]:
    """Return why services are held back, sorted by service. What cannot be read is left out."""
    found = _below(QUARANTINE, QuarantineRecord, items)
    return {service: record for service, record in found if record is not None}


def _below(root: str, kind: type[R], items: Mapping[str, Item]) -> Iterator[tuple[str, R | None]]:
    for key in sorted(key for key in items if key.startswith(root)):
        try:
            yield key.removeprefix(root), read(kind, items[key])
        except BadKey:
            yield key.removeprefix(root), None
