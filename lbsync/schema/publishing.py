"""The keys of publishers, below `publishers/<cluster>/`, and how they are read."""

from collections.abc import Iterator
from typing import Literal, TypeVar, get_args

import msgspec

from lbsync.errors import BadKey
from lbsync.model.publishing import HeartbeatRecord, LeaderRecord, ReportRecord
from lbsync.model.snapshot import Item, Snapshot

ROOT = "publishers/"
SOURCE_PREFIX = "k8s/"
"""How the `source` of every record of a publisher begins; the cluster's name follows."""
ReportKind = Literal["service", "ingress"]

R = TypeVar("R", LeaderRecord, HeartbeatRecord, ReportRecord)


def source_of(cluster: str) -> str:
    """Return what the publisher of a cluster writes into the field `source`."""
    return f"{SOURCE_PREFIX}{cluster}"


def leader_key(cluster: str) -> str:
    """Return the key whose holder may write for the cluster."""
    return f"{ROOT}{cluster}/leader"


def heartbeat_key(cluster: str) -> str:
    """Return the key that tells how the leader does."""
    return f"{ROOT}{cluster}/heartbeat"


def reports_prefix(cluster: str) -> str:
    """Return what all reports of a cluster begin with."""
    return f"{ROOT}{cluster}/reports/"


def report_key(cluster: str, kind: ReportKind, name: str) -> str:
    """Return the key of the report about one object; `name` is `<ns>/<name>`."""
    return f"{reports_prefix(cluster)}{kind}/{name}"


def read(kind: type[R], item: Item) -> R:
    """Return a record of a publisher. Raises `BadKey`."""
    try:
        return msgspec.json.decode(item.value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadKey(item.key, f"was written by another version of lbsync ({error})") from error


class Known(msgspec.Struct):
    """All that one cluster's publishers say of themselves."""

    cluster: str
    leader: LeaderRecord | None = None
    heartbeat: HeartbeatRecord | None = None
    reports: dict[str, ReportRecord] = {}
    """`service shop/cart` to what its owner is told."""


def known(snapshot: Snapshot) -> dict[str, Known]:
    """Return what all publishers say, by cluster. What cannot be read is left out."""
    found: dict[str, Known] = {}
    for cluster, rest, item in _items(snapshot):
        here = found.setdefault(cluster, Known(cluster))
        try:
            if rest == "leader":
                here.leader = read(LeaderRecord, item)
            elif rest == "heartbeat":
                here.heartbeat = read(HeartbeatRecord, item)
            elif rest.startswith("reports/"):
                kind, _, name = rest.removeprefix("reports/").partition("/")
                if kind in get_args(ReportKind):
                    here.reports[f"{kind} {name}"] = read(ReportRecord, item)
        except BadKey:
            continue  # of a version that is yet to come; the publisher itself will say more
    return dict(sorted(found.items()))


def _items(snapshot: Snapshot) -> Iterator[tuple[str, str, Item]]:
    for key, item in snapshot.items.items():
        if key.startswith(ROOT):
            cluster, _, rest = key.removeprefix(ROOT).partition("/")
            yield cluster, rest, item
