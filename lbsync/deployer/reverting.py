"""Reverting: first the previous route is restored; the new version is removed once no balancer knows it any more.
Pure."""

from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.deployer import gates
from lbsync.deployer.decision import Act, Decision, before, foreign_route, moment, to
from lbsync.deployer.observed import Observed
from lbsync.deployer.routing import closed_route, groups_with_traffic, takes_traffic
from lbsync.model.deploying import DeploymentRecord
from lbsync.timestamps import seconds


def revert(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """Revert everything: first the fleet gets the previous route, then the new version is removed."""
    group, is_ours = record.version.group, not foreign_route(record, seen)
    has_traffic = takes_traffic(seen.route, group) and not (is_ours and seen.route is None)
    if has_traffic and not is_ours:
        return _end(record, now, notice=f"somebody else gave {group} traffic, so it stays")
    if record.abandoned:
        return _as_it_stands(record, seen, now)
    return _put_back(record, seen, now, has_traffic=has_traffic, is_ours=is_ours)


def _put_back(
    record: DeploymentRecord, seen: Observed, now: float, *, has_traffic: bool, is_ours: bool
) -> Decision:
    group, was_routed = record.version.group, _was_routed(record, is_ours=is_ours)
    if record.old is not UNSET and "publish old" not in seen.done and not seen.failed_act:
        return Decision(record, act="publish old", waits="the service to be written as it was")
    if was_routed and (decision := _until_nobody_uses_it(record, seen, now)):
        return decision
    if seen.silent and was_routed:
        names = ", ".join(sorted(seen.silent))
        notice = f"{names} may still serve {group}: silent since before it was put back"
        return msgspec.structs.replace(_end(record, now, notice=notice), leaves=())
    is_first = is_ours and record.previous is UNSET
    # What was there before is as it was: it stays for as long as it was kept anyway.
    is_needed = not has_traffic and group not in seen.kept
    for act in _removals(record, is_needed=is_needed, is_first=is_first):
        if act not in seen.done:
            return Decision(
                record, act=act, waits=seen.failed_act or "the new version to be removed"
            )
    return _end(record, now, drops_route=is_first)


def _was_routed(record: DeploymentRecord, *, is_ours: bool) -> bool:
    """Tell whether any balancer may ever have led somebody to the new version."""
    is_old = record.version.group in groups_with_traffic(before(record))
    return bool(record.step) or not is_ours or is_old


def _as_it_stands(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """End it. Nothing is removed: who has not confirmed may still lead somebody there, and so may who is silent."""
    group = record.version.group
    was_routed = _was_routed(record, is_ours=not foreign_route(record, seen))
    late = gates.unconfirmed(seen) if was_routed and not record.step_at else {}
    told = [f"{name} may still serve {group}: {why}" for name, why in late.items()]
    if was_routed and seen.silent:
        told.append(f"{', '.join(sorted(seen.silent))} may still serve {group}: silent")
    if was_routed and not late and not (left := gates.drained(seen, (group,))).is_open:
        told.append(left.text)
    if record.old is not UNSET and "publish old" not in seen.done:
        told.append(f"the service's fields are still those of {group}")
    notice = "; ".join((f"abandoned by {record.abandoned}", *told, f"{group} is kept"))
    end = _end(record, now, notice=notice)
    return msgspec.structs.replace(end, leaves=tuple(late))


def _removals(record: DeploymentRecord, *, is_needed: bool, is_first: bool) -> tuple[Act, ...]:
    if not is_needed:
        return ()
    return ("remove", "remove app") if is_first and record.old is UNSET else ("remove",)


def _until_nobody_uses_it(record: DeploymentRecord, seen: Observed, now: float) -> Decision | None:
    """Return what comes next while a balancer has the new version's route, or sessions there; None: none has."""
    if not record.step_at:
        gate = gates.converged(record, seen)
        every = all(
            host.revision >= seen.route_revision and not host.refused
            for host in seen.hosts.values()
        )
        # One that is silent cannot be waited for; but all that report are, however many are required.
        if not gate.is_open and not (every and seen.hosts):
            is_long = now >= seconds(record.phase_at) + record.strategy.converge_timeout.seconds
            hint = "; 'lbsync deploy abandon' ends it as it stands" if is_long else ""
            return Decision(record, waits=gate.text + hint, until=now + 1.0)
        return Decision(msgspec.structs.replace(record, step_at=moment(now)), events=(gate.text,))
    left = gates.drained(seen, (record.version.group,))
    ends = seconds(record.step_at) + record.strategy.drain_timeout.seconds
    if left.is_open or now >= ends:
        return None
    return Decision(record, waits=left.text, until=min(ends, now + 1.0))


def _end(
    record: DeploymentRecord, now: float, *, notice: str = "", drops_route: bool = False
) -> Decision:
    phase = record.outcome or "failed"
    decision = to(record, phase, now, record.reason, notice=notice, ended_at=moment(now))
    return msgspec.structs.replace(decision, drops_route=drops_route and record.route is not UNSET)


def turn_back(
    record: DeploymentRecord,
    seen: Observed,
    now: float,
    outcome: Literal["failed", "rolled back", "cancelled"],
    reason: str,
) -> Decision:
    """Put the previous route back, where this deployment wrote one that others did not change since."""
    if outcome == "failed" and record.step and seen.route == record.route:
        outcome = "rolled back"
    after = msgspec.structs.replace(
        record,
        phase="reverting",
        phase_at=moment(now),
        outcome=outcome,
        reason=reason,
        waits="",
        step_at="",
    )
    explained = seen.gate.log if seen.gate is not None and seen.gate.failed else ()
    told = (*explained, f"back: {reason}" if reason else "back")
    if not record.step or seen.route != record.route:
        return Decision(after, events=told)
    route = record.previous
    if route is UNSET:
        route = closed_route(record.version.group)
    return Decision(msgspec.structs.replace(after, route=route), route, events=told)
