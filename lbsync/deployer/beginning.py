"""The start of a deployment: checks before anything is written, and its first record. Pure."""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.deployer.page import Page
from lbsync.deployer.routing import groups_with_traffic
from lbsync.errors import BadKey, Conflict, Rejected
from lbsync.model.deploying import (
    DeploymentRecord,
    ProviderKind,
    Strategy,
    VersionRecord,
    VersionsRecord,
)
from lbsync.model.records import RouteRecord, ServiceRecord
from lbsync.schema import deploying
from lbsync.schema.decode import decode_as
from lbsync.timestamps import stamp


class Begun(msgspec.Struct, frozen=True):
    """Who begins what, and when."""

    id: str
    by: str
    at: float
    """Seconds since 1970."""


def switch(
    page: Page, group: str, strategy: Strategy, begun: Begun, *, force: bool = False
) -> DeploymentRecord | None:
    """Return the first record of a switch of plain servers; None if the group has all the traffic already.

    `force`: also where a publisher owns the route. Raises `Rejected` for what makes no sense, `Conflict` where
    another deployment is in progress.
    """
    app = page.keys.app
    refuse_second(page)
    found = _route_for(page, group)
    if found is None or groups_with_traffic(found) == (group,):
        return None
    if found.source is not UNSET and not force:
        raise Conflict(
            f"{app}: its route belongs to {found.source!r}, which would write its own version again; "
            "change it there, or use --force"
        )
    if strategy.preview and not _has_preview(page):
        raise Rejected(
            f"{app}: services/{app} has no preview, so nobody could see {group} before it has traffic; write one "
            "(docs/etcd-contract.md), or take preview out of the strategy"
        )
    version = VersionRecord(group, deployment=begun.id)
    record = first(begun, "groups", "switch", version, strategy)
    return msgspec.structs.replace(record, old=_old(page.versions(), found, group), previous=found)


def way_back(
    page: Page,
    deployments: Sequence[DeploymentRecord],
    begun: Begun,
    strategy: Callable[[Strategy], Strategy] = lambda last: last,
) -> DeploymentRecord:
    """Return the first record of the way back to the version before the one that was deployed last.

    `deployments`: of the app, the newest first; `strategy`: what becomes of the last one's. Raises as `switch`.
    """
    app = page.keys.app
    last = next((one for one in deployments if one.phase in ("deployed", "removed")), None)
    if last is not None and last.phase == "removed":
        raise Rejected(f"{app}: it was removed; deploy it once more: 'lbsync deploy apply'")
    if last is None or last.old is UNSET:
        raise Rejected(
            f"{app}: nothing is known of a version before; 'lbsync deploy history {app}'"
        )
    version = last.old
    if last.previous is not UNSET and len(groups_with_traffic(last.previous)) > 1:
        shares = " ".join(f"{name}={share}" for name, share in last.previous.groups.items())
        raise Rejected(
            f"{app}: its traffic was split before; write that with 'lbsync route {app} {shares}'"
        )
    live = page.versions().live
    if live is not UNSET and live.group == version.group:
        raise Rejected(f"{app}: {live.group} is live already")
    refuse_second(page)
    found = _route_for(page, version.group) if last.provider == "groups" else route(page)
    if found is None or groups_with_traffic(found) == (version.group,):
        raise Rejected(f"{app}: {version.group} has all the traffic already")
    at_once = msgspec.structs.replace(
        strategy(last.strategy), steps=(), manual=False, preview=False
    )
    record = first(begun, last.provider, "rollback", version, at_once)
    old = _old(page.versions(), found, version.group)
    return msgspec.structs.replace(record, old=old, previous=found)


def first(
    begun: Begun,
    provider: ProviderKind,
    action: Literal["deploy", "switch", "rollback", "remove"],
    version: VersionRecord,
    strategy: Strategy,
) -> DeploymentRecord:
    """Return the record of a deployment that begins, without what was before."""
    at = stamp(begun.at, milliseconds=True)
    return DeploymentRecord(
        begun.id, provider, action, version, strategy, begun.by, at, phase_at=at
    )


def _route_for(page: Page, group: str) -> RouteRecord | None:
    """Return the route, where a switch to the group makes sense; None if there is none, and no other group."""
    app = page.keys.app
    if page.item(page.keys.service) is None:
        raise Rejected(f"{app}: there is no such service; 'lbsync service ls' shows all")
    groups = page.groups()
    if group not in groups:
        listed = ", ".join(groups) or "none"
        raise Rejected(f"{app}: it has no group {group!r} that can be read; there are {listed}")
    found = route(page)
    others = sorted(groups.keys() - {group})
    if found is None and others:
        raise Rejected(
            f"{app}: it has no route, so {group} gets requests already, with {', '.join(others)}; write one "
            f"first: 'lbsync route {app} {others[0]}=100'"
        )
    return found


def _has_preview(page: Page) -> bool:
    item = page.item(page.keys.service)
    if item is None:
        return False
    return decode_as(ServiceRecord, f"services/{page.keys.app}", item.value).preview is not UNSET


def refuse_second(page: Page) -> None:
    """Raise `Conflict` if a deployment of the app is in progress."""
    app, active = page.keys.app, page.versions().active
    record = page.deployment(active) if active else None
    lock = page.lock
    if record is None and lock is not None:
        key = f"{deploying.deploy_prefix(page.keys.prefix)}{deploying.lock_key(app)}"
        raise Conflict(
            f"{app}: {key} is held by {lock.holder}, though no deployment is under way; it goes by itself once "
            "that one has ended; where it stays, nobody holds it: remove the key"
        )
    if record is None:
        return  # or somebody removed it: nobody can carry it out, nor end it
    who = f", carried out by {lock.holder}" if lock else ""
    raise Conflict(
        f"{app}: deployment {active} ({record.phase}, {record.purpose}) is under way{who}; 'lbsync deploy "
        f"show {app}' tells how it stands, 'lbsync deploy cancel {app}' ends it"
    )


def route(page: Page) -> RouteRecord | None:
    """Return the route; None: there is none. Raises `BadKey` if it is invalid, and so could not be restored."""
    found = page.route
    if found is not None and not found.groups:
        raise BadKey(
            f"routes/{page.keys.app}", "it cannot be read, and so not put back; correct it"
        )
    return found


def _old(versions: VersionsRecord, before: RouteRecord, group: str) -> VersionRecord:
    """Return what has the traffic now: what was deployed last, or else the group with most of it."""
    shares = {name: share for name, share in before.groups.items() if share and name != group}
    live = versions.live
    if live is not UNSET and live.group in shares:
        return live
    return VersionRecord(max(sorted(shares), key=lambda name: shares[name]))
