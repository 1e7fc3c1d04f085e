"""The keys of publishers, below `publishers/<cluster>/`, and how they are read."""

import contextlib
import re
from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

import msgspec

from lbsync.errors import BadKey
from lbsync.model.publishing import (
    HeartbeatRecord,
    KeptRecord,
    LeaderRecord,
    OriginRecord,
    ReportRecord,
)
from lbsync.model.snapshot import Item
from lbsync.schema import reading
from lbsync.timestamps import seconds

ROOT = "publishers/"
SOURCE_PREFIX = "k8s/"
"""How the `source` of every record of a publisher begins; the cluster's name follows."""
ReportKind = Literal["service", "ingress"]
_MOST_KEY = 400
"""Characters of a key that a publisher may have written; names in Kubernetes have at most 253."""

_TIME = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ")
R = TypeVar("R", LeaderRecord, HeartbeatRecord, ReportRecord, OriginRecord, KeptRecord)


def source_of(cluster: str) -> str:
    """Return what the publisher of a cluster writes into the field `source`."""
    return f"{SOURCE_PREFIX}{cluster}"


def leader_key(cluster: str) -> str:
    """Return the key whose holder may write for the cluster."""
    return f"{ROOT}{cluster}/leader"


def heartbeat_key(cluster: str) -> str:
    """Return the key that tells how the leader does."""
    return f"{ROOT}{cluster}/heartbeat"


def origin_key(cluster: str) -> str:
    """Return the key that tells which Kubernetes cluster this is."""
    return f"{ROOT}{cluster}/origin"


def reports_prefix(cluster: str) -> str:
    """Return what all reports of a cluster begin with."""
    return f"{ROOT}{cluster}/reports/"


def report_key(cluster: str, kind: ReportKind, name: str) -> str:
    """Return the key of the report about one object; `name` is `<ns>/<name>`."""
    return f"{reports_prefix(cluster)}{kind}/{name}"


def kept_prefix(cluster: str) -> str:
    """Return what the keys begin with that say what is kept for Services that went."""
    return f"{ROOT}{cluster}/claims/"


def kept_key(cluster: str, name: str) -> str:
    """Return the key that says what is kept for one Service; `name` is `<ns>/<name>`."""
    return f"{kept_prefix(cluster)}{name}"


def read_kept(item: Item) -> KeptRecord | None:
    """Return what is kept; None if that cannot be read, or is no time that was written by us."""
    try:
        found = read(KeptRecord, item)
    except BadKey:
        return None
    return (
        found
        if not found.until or (_TIME.fullmatch(found.until) and seconds(found.until))
        else None
    )


def read(kind: type[R], item: Item) -> R:
    """Return a record of a publisher. Raises `BadKey`, and nothing else."""
    try:
        return reading.record(item.value, kind)
    except reading.Unreadable as error:
        raise BadKey(item.key, f"was written by another version of lbsync ({error})") from error


class Known(msgspec.Struct):
    """All that one cluster's publishers say of themselves."""

    cluster: str
    leader: LeaderRecord | None = None
    heartbeat: HeartbeatRecord | None = None
    reports: dict[str, ReportRecord] = {}
    """`service shop/cart` to what its owner is told."""


def known(items: Mapping[str, Item]) -> dict[str, Known]:
    """Return what all publishers say, by cluster, for people to read. What cannot be read is left out: of a version
    that is yet to come, and its own commands will say more.
    """
    found: dict[str, Known] = {}
    for key, item in sorted(items.items()):
        if key.startswith(ROOT) and len(key) <= _MOST_KEY:
            cluster, _, rest = key.removeprefix(ROOT).partition("/")
            with contextlib.suppress(BadKey):
                _take(found.setdefault(cluster, Known(cluster)), rest, item)
    return found


def _take(here: Known, rest: str, item: Item) -> None:
    if rest == "leader":
        here.leader = reading.bounded(read(LeaderRecord, item))
    elif rest == "heartbeat":
        here.heartbeat = reading.bounded(read(HeartbeatRecord, item))
    elif rest.startswith("reports/"):
        kind, _, name = rest.removeprefix("reports/").partition("/")
        if kind in get_args(ReportKind):
            here.reports[f"{kind} {name}"] = reading.bounded(read(ReportRecord, item))
