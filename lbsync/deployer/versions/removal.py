"""The end of a whole app: no balancer leads to it any more, no session is left, then its objects go. Pure.

A removal is a deployment of its own kind, so whoever carries out deployments carries it out, too, and goes on
where somebody else stopped. Until its objects begin to go, all of it can be undone: the route before is put back.
"""

from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.deployer import gates
from lbsync.deployer.beginning import Begun, first, refuse_second, route
from lbsync.deployer.decision import Decision, before, foreign_route, moment, to
from lbsync.deployer.observed import Observed
from lbsync.deployer.page import Page
from lbsync.deployer.routing import NOWHERE, closed_route
from lbsync.errors import Rejected
from lbsync.model.deploying import DeploymentRecord, Strategy, VersionRecord
from lbsync.schema.decode import decode_as
from lbsync.schema.deploying import app_key
from lbsync.timestamps import seconds

_ALONE = "no balancer is known"


def remove(page: Page, begun: Begun) -> DeploymentRecord:
    """Return the first record of an app's removal; it uses the strategy in the app's document.

    Raises `Rejected` if there is no such app on Kubernetes, `BadKey` if its route is invalid and so could not
    be restored, `Conflict` if a deployment is in progress.
    """
    app = page.keys.app
    refuse_second(page)
    wanted = page.wanted
    if wanted is None or wanted.provider != "kubernetes":
        raise Rejected(
            f"{app}: no app of this name was deployed on Kubernetes; 'lbsync deploy ls' shows what was, "
            "and 'lbsync service rm' removes a service of plain servers"
        )
    told = msgspec.json.encode(wanted.document.get("strategy", {}))
    strategy = decode_as(Strategy, app_key(app), told)
    at_once = msgspec.structs.replace(strategy, steps=(), manual=False, preview=False)
    found = route(page)
    record = first(begun, wanted.provider, "remove", _last(page), at_once)
    return msgspec.structs.replace(record, previous=UNSET if found is None else found)


def what_goes(page: Page) -> str:
    """Return which versions a removal takes away, for people."""
    versions = page.versions()
    live = [] if versions.live is UNSET else [versions.live]
    found = [*live, *(warm.version for warm in versions.warm)]
    return ", ".join(f"version {version.number}" for version in found) or "what is left of it"


def under_way(page: Page) -> DeploymentRecord | None:
    """Return the removal that is in progress; None: none is."""
    active = page.versions().active
    record = page.deployment(active) if active else None
    return record if record is not None and record.is_removal else None


def _last(page: Page) -> VersionRecord:
    versions = page.versions()
    if versions.live is not UNSET:
        return versions.live
    return versions.warm[-1].version if versions.warm else VersionRecord(NOWHERE)


def decide(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """Return what comes next for a removal that has not ended; see `phases.decide`."""
    if record.phase == "reverting":
        return _put_back(record, seen, now)
    if record.phase == "drained":
        return _drained(record, seen, now)
    if record.wish:
        return _turn_back(record, seen, now, "cancelled", record.reason)
    if foreign := foreign_route(record, seen):
        return _turn_back(record, seen, now, "failed", foreign)
    if record.paused:
        return Decision(record, waits=f"paused by {record.paused}")
    return _NEXT[record.phase](record, seen, now)


def _queued(record: DeploymentRecord, _seen: Observed, now: float) -> Decision:
    closed = closed_route(record.version.group)
    after = msgspec.structs.replace(
        record, phase="switching", phase_at=moment(now), step=1, route=closed
    )
    return Decision(after, closed, events=("a route that leads nowhere is written",))


def _switching(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    gate = gates.converged(record, seen)
    if gate.is_open or not seen.fleet:
        told = gate.text if seen.fleet else _ALONE
        return to(record, "converged", now, told, notice=_silent(seen), step_at=moment(now))
    limit = record.strategy.converge_timeout
    ends = seconds(record.phase_at) + limit.seconds
    if now >= ends:
        return _turn_back(record, seen, now, "failed", f"after {limit}: {gate.text}")
    return Decision(record, waits=gate.text, until=min(ends, now + 1.0))


def _converged(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    gate = gates.drained(seen, [group for group in seen.wanted if group != NOWHERE])
    if gate.is_open or not seen.fleet:
        return to(record, "drained", now, gate.text if seen.fleet else _ALONE)
    limit = record.strategy.drain_timeout
    ends = seconds(record.phase_at) + limit.seconds
    if now < ends:
        return Decision(record, waits=gate.text, until=min(ends, now + 1.0))
    told = f"after {limit} {gate.text}"
    return to(record, "drained", now, told, notice=told)


def _drained(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """Have everything removed. From here there is no way back."""
    if record.abandoned:
        reason = f"abandoned by {record.abandoned} while it waited for {record.waits or 'its end'}"
        return to(record, "failed", now, reason, reason=reason, ended_at=moment(now))
    if "remove app" not in seen.done:
        waits = seen.failed_act or "its Service, Deployments and pods to be removed"
        return Decision(record, act="remove app", waits=waits)
    if seen.written:
        waits = "a publisher to take it out of etcd; is one at work ('lbsync status --publishers')?"
        return Decision(record, waits=waits, until=now + 1.0)
    decision = to(record, "removed", now, "it is gone", ended_at=moment(now))
    return msgspec.structs.replace(decision, drops_route=True)


def _put_back(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """Wait until every balancer that reports has the route before again."""
    outcome = record.outcome or "failed"
    if record.step and not foreign_route(record, seen):
        gate = gates.converged(record, seen)
        every = all(
            host.revision >= seen.route_revision and not host.refused
            for host in seen.hosts.values()
        )
        if record.abandoned:
            told = [f"{name}: {why}" for name, why in gates.unconfirmed(seen).items()]
            parts = (f"abandoned by {record.abandoned}", *told, _silent(seen))
            notice = "; ".join(filter(None, parts))
            return to(record, outcome, now, record.reason, notice=notice, ended_at=moment(now))
        if seen.fleet and not gate.is_open and not (every and seen.hosts):
            return Decision(record, waits=gate.text, until=now + 1.0)
    return to(record, outcome, now, record.reason, notice=_silent(seen), ended_at=moment(now))


def _turn_back(
    record: DeploymentRecord,
    seen: Observed,
    now: float,
    outcome: Literal["failed", "cancelled"],
    reason: str,
) -> Decision:
    """Put the route before back, unless somebody else has changed it since."""
    is_ours = bool(record.step) and not foreign_route(record, seen)
    after = msgspec.structs.replace(
        record, phase="reverting", phase_at=moment(now), outcome=outcome, reason=reason, waits=""
    )
    told = (f"back: {reason}" if reason else "back",)
    if not is_ours:
        return Decision(after, events=told)
    route_before = before(record)
    after = msgspec.structs.replace(after, route=record.previous)
    return Decision(after, route_before, drops_route=route_before is None, events=told)


def _silent(seen: Observed) -> str:
    names = "; ".join(f"{name}: {why}" for name, why in sorted(seen.silent.items()))
    return f"silent hosts may still have the route of before ({names})" if names else ""


_NEXT = {"queued": _queued, "switching": _switching, "converged": _converged}
