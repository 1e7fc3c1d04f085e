"""Apps and their deployments as stored by deployers: updated with each snapshot, at a cost proportional to the
change."""

from collections.abc import Collection, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from lbsync.errors import BadKey
from lbsync.model.deploying import (
    AppRecord,
    DeploymentRecord,
    EventRecord,
    VersionRecord,
    VersionsRecord,
)
from lbsync.model.record import Record
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import deploying
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds

MOST_SHOWN = 1000
"""Deployments on one page."""
_MOST_UNREADABLE = 20
_KINDS: tuple[tuple[str, type[Any]], ...] = (
    (deploying.APPS, AppRecord),
    (deploying.VERSIONS, VersionsRecord),
    (deploying.DEPLOYMENTS, DeploymentRecord),
)
_DEGREES = {"deployed": "ok", "removed": "ok", "failed": "critical"}
R = TypeVar("R", bound=Record)


class VersionView(msgspec.Struct, frozen=True):
    """One version of an app."""

    group: str
    """The group of the service that its servers are in."""
    number: int
    """Counted by lbsync; 0: nobody counts."""
    image: str
    """What it runs, where that is known."""
    deployment: str
    """Id of the deployment that brought it."""
    until: str = ""
    """How long it is kept without traffic; empty: it is not kept for a while alone."""


class DeploymentRow(msgspec.Struct, frozen=True):
    """One line of a history."""

    app: str
    """`<ns>/<name>`."""
    id: str
    action: str
    """`deploy`, `switch`, `rollback` or `remove`."""
    purpose: str
    """What it is for, in a few words: `switch to green`."""
    version: VersionView
    phase: str
    degree: str
    """`ok`, `warning`, `critical` or `unknown`."""
    is_ended: bool
    by: str
    created_at: str
    """RFC 3339, UTC."""
    ended_at: str
    seconds: float
    """From its beginning to its end; 0: it has not ended."""
    said: str
    """What it waits for, or why it ended as it did."""


class DeploymentsView(msgspec.Struct, frozen=True):
    """One page of a history, the newest first."""

    rows: tuple[DeploymentRow, ...]
    next: str
    """The value of `after` for what follows; empty: there is no more."""


class Deployments:
    """Everything that deployers store, at one revision."""

    def __init__(self, snapshot: Snapshot, before: "Deployments | None" = None) -> None:
        """`before`: what was read last; what has not changed since is taken from it."""
        self.snapshot = snapshot
        self.unreadable: list[str] = []
        """Some keys that a newer lbsync wrote, or nobody."""
        self._known: dict[str, tuple[int, Record | None]] = {}
        self._ids: dict[str, list[str]] = {}
        known = before._known if before is not None else {}
        for key, item in snapshot.items.items():
            kind = next((kind for folder, kind in _KINDS if key.startswith(folder)), None)
            if kind is None:
                continue
            kept = known.get(key)
            if kept is None or kept[0] != item.mod_revision:
                kept = item.mod_revision, _read(kind, item)
            self._known[key] = kept
            if kept[1] is None:
                if len(self.unreadable) < _MOST_UNREADABLE:
                    self.unreadable.append(key)
            elif key.startswith(deploying.DEPLOYMENTS):
                app, _, name = key.removeprefix(deploying.DEPLOYMENTS).rpartition("/")
                self._ids.setdefault(app, []).append(name)
        for ids in self._ids.values():
            ids.sort(reverse=True)
        self.names = sorted(self._names())
        """All apps that a deployer has heard of."""

    def app(self, name: str) -> AppRecord | None:
        """Return the desired state of an app; None: there is none, as for plain servers."""
        return self._of(AppRecord, f"{deploying.APPS}{name}")

    def versions(self, name: str) -> VersionsRecord | None:
        """Return which versions of an app there are; None: it was never deployed."""
        return self._of(VersionsRecord, f"{deploying.VERSIONS}{name}")

    def deployment(self, name: str, deployment: str) -> DeploymentRecord | None:
        """Return one deployment; None: there is none that can be read."""
        return self._of(DeploymentRecord, f"{deploying.DEPLOYMENTS}{name}/{deployment}")

    def revision(self, name: str, deployment: str = "") -> int:
        """Return the revision of the last change to a deployment, or to anything of an app; 0: never."""
        if deployment:
            return self._known.get(f"{deploying.DEPLOYMENTS}{name}/{deployment}", (0, None))[0]
        keys = [f"{folder}{name}" for folder in (deploying.APPS, deploying.VERSIONS)]
        keys += [f"{deploying.DEPLOYMENTS}{name}/{each}" for each in self._ids.get(name, ())]
        return max((self._known[key][0] for key in keys if key in self._known), default=0)

    def history(
        self, names: Collection[str], after: str = "", most: int = MOST_SHOWN
    ) -> DeploymentsView:
        """Return deployments of these apps, the newest first. `after`: the last one of the page before, as
        `<id> <app>`."""
        found = sorted(
            (f"{each} {name}" for name in names for each in self._ids.get(name, ())), reverse=True
        )
        if after:
            found = [each for each in found if each < after]
        page = found[:most]
        rows = tuple(filter(None, (self._row(*each.split(" ")) for each in page)))
        return DeploymentsView(rows, page[-1] if len(found) > most else "")

    def events(
        self, name: str, deployment: str, after: int = -1
    ) -> Iterator[tuple[int, EventRecord]]:
        """Yield number and record of the events after one of them."""
        try:
            app = ServiceId.parse(name)
        except ValueError:
            return
        number = after + 1
        while item := self.snapshot.items.get(deploying.event_key(app, deployment, number)):
            if record := _read(EventRecord, item):
                yield number, record
            number += 1

    def _names(self) -> set[str]:
        found = set(self._ids)
        for key in self._known:
            folder, _, name = key.partition("/")
            if f"{folder}/" != deploying.DEPLOYMENTS:
                found.add(name)
        return {name for name in found if _is_name(name)}

    def _row(self, deployment: str, name: str) -> DeploymentRow | None:
        record = self.deployment(name, deployment)
        return row(name, record) if record is not None else None

    def _of(self, kind: type[R], key: str) -> R | None:
        record = self._known.get(key, (0, None))[1]
        return record if isinstance(record, kind) else None


def row(name: str, record: DeploymentRecord) -> DeploymentRow:
    """Return a deployment as a line of a history."""
    ended = seconds(record.ended_at) if record.is_ended else 0.0
    return DeploymentRow(
        name,
        record.id,
        record.action,
        record.purpose,
        version(record.version),
        record.phase,
        degree(record),
        record.is_ended,
        record.by,
        record.created_at,
        record.ended_at,
        round(max(0.0, ended - seconds(record.created_at)), 3) if ended else 0.0,
        record.reason if record.is_ended else (record.waits or record.reason),
    )


def degree(record: DeploymentRecord) -> str:
    """Return the state of a deployment in one word: `ok`, `warning`, `critical` or `unknown`."""
    if record.phase in _DEGREES:
        return _DEGREES[record.phase]
    is_odd = record.is_ended or record.paused or record.wish or record.phase == "reverting"
    return "warning" if is_odd else "unknown"


def version(record: VersionRecord, until: str = "") -> VersionView:
    """Return a version for people."""
    image = record.document.get("image")
    return VersionView(
        record.group,
        record.number,
        image if isinstance(image, str) else "",
        record.deployment,
        until,
    )


def live(record: VersionsRecord | None) -> VersionView | None:
    """Return what gets the traffic as the last deployment left it; None: nothing was deployed."""
    if record is None or record.live is UNSET:
        return None
    return version(record.live)


def _read(kind: type[Any], item: Item) -> Any:
    try:
        return deploying.read(kind, item)
    except BadKey:
        return None


def _is_name(text: str) -> bool:
    try:
        return bool(ServiceId.parse(text))
    except ValueError:
        return False


def named(names: Collection[str], namespaces: Collection[str]) -> list[str]:
    """Return those of some namespaces; none named: all."""
    return [name for name in names if not namespaces or name.partition("/")[0] in namespaces]
