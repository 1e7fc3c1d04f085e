"""Apps: the live version, the split of traffic, and deployments in progress."""

import msgspec

from lbsync.console.facts.deployments import (
    DeploymentRow,
    Deployments,
    VersionView,
    live,
    named,
    row,
    version,
)
from lbsync.console.facts.services import GroupRow, ServiceIndex

_PER = 20
"""Deployments that the page of an app shows."""


class AppRow(msgspec.Struct, frozen=True):
    """One line of the list."""

    app: str
    """`<ns>/<name>`, as the service that it is reached by."""
    provider: str
    """What makes its versions: `kubernetes`, `groups` (servers that are there), or empty: not known yet."""
    has_document: bool
    """Its document is stored: another image can be put into that, and the app can be removed."""
    live: VersionView | None
    """What the last deployment gave the traffic to."""
    warm: tuple[VersionView, ...]
    """What is kept without traffic, to be switched back to at once."""
    groups: tuple[GroupRow, ...]
    """How traffic is split now, by the service's route."""
    reached_by: tuple[str, ...]
    active: DeploymentRow | None
    """What is in progress."""
    last: DeploymentRow | None
    """What was begun last."""
    problems: tuple[str, ...]
    """Why its service is not served as it is written."""


class AppsView(msgspec.Struct, frozen=True):
    """One page of the list."""

    rows: tuple[AppRow, ...]
    found: int
    """How many fit what was searched for."""
    all: int
    page: int
    pages: int
    per: int
    query: str
    unreadable: tuple[str, ...]
    """Some keys of deployments that cannot be read: a newer lbsync wrote them, or nobody."""


class AppView(msgspec.Struct, frozen=True):
    """One app."""

    row: AppRow
    history: tuple[DeploymentRow, ...]
    """The last 20."""
    more: str
    """The value of `after` for older ones; empty: there are none."""


def apps_view(
    index: ServiceIndex,
    known: Deployments,
    query: str,
    page: int,
    per: int,
    *,
    namespaces: tuple[str, ...] = (),
) -> AppsView:
    """Return one page of those whose name has all words of `query`; pages count from 1, and one beyond the last
    is the last. `namespaces`: others are passed over; none named: all are shown."""
    names = named(known.names, namespaces)
    words = query.lower().split()
    found = [name for name in names if all(word in name for word in words)]
    pages = max(1, -(-len(found) // per))
    page = min(max(page, 1), pages)
    rows = tuple(app_row(index, known, name) for name in found[(page - 1) * per : page * per])
    unreadable = () if namespaces else tuple(known.unreadable)
    return AppsView(rows, len(found), len(names), page, pages, per, query, unreadable)


def app_view(index: ServiceIndex, known: Deployments, name: str) -> AppView | None:
    """Return one app; None: neither a deployer nor a balancer has heard of it."""
    if name not in index and name not in known.names:
        return None
    history = known.history([name], most=_PER)
    return AppView(app_row(index, known, name), history.rows, history.next)


def app_row(index: ServiceIndex, known: Deployments, name: str) -> AppRow:
    """Return one line."""
    service = index.row(name) if name in index else None
    versions, wanted = known.versions(name), known.app(name)
    active = known.deployment(name, versions.active) if versions and versions.active else None
    history = known.history([name], most=1).rows
    last = history[0] if history else None
    run = known.deployment(name, last.id) if last else None
    return AppRow(
        name,
        wanted.provider if wanted is not None else run.provider if run is not None else "",
        wanted is not None and wanted.provider == "kubernetes",
        live(versions),
        tuple(version(each.version, each.until) for each in versions.warm) if versions else (),
        service.groups if service else (),
        service.reached_by if service else (),
        row(name, active) if active is not None else None,
        last,
        service.problems if service else (),
    )
