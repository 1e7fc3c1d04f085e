"""From one phase of a deployment to the next. Pure: the runner writes and acts.

`decide` is called repeatedly with the current record, what was observed, and the time. It returns the next
record, if it differs, with the route that changes in the same transaction; or an action that must come first; or
nothing, with what is waited for. Another caller, for example after a crash, gets the same result.
"""

from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.deployer import gates
from lbsync.deployer.decision import Decision, before, foreign_route, moment, old_groups, to
from lbsync.deployer.observed import Observed
from lbsync.deployer.reverting import revert, turn_back
from lbsync.deployer.routing import closed_route, step_route
from lbsync.deployer.versions import removal
from lbsync.model.deploying import DeploymentRecord, EventRecord
from lbsync.model.policies import PREVIEW_HEADER
from lbsync.timestamps import seconds


def decide(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    """Return what comes next. `now`: seconds since 1970."""
    if record.is_ended:
        return Decision(record)
    if record.is_removal:
        return removal.decide(record, seen, now)
    if record.phase == "reverting":
        return revert(record, seen, now)
    if record.wish:
        outcome: Literal["cancelled", "rolled back"] = (
            "cancelled" if record.wish == "cancel" else "rolled back"
        )
        return turn_back(record, seen, now, outcome, record.reason)
    if foreign := foreign_route(record, seen):
        return turn_back(record, seen, now, "failed", foreign)
    return _FORWARD[record.phase](record, seen, now)


def plan(
    record: DeploymentRecord, seen: Observed, now: float, *, goes_on: bool
) -> tuple[Decision, list[EventRecord]]:
    """Return as many steps as need neither new observations nor actions in between, and their events.
    `goes_on`: phases that need no action."""
    events: list[EventRecord] = []
    decision = decide(record, seen, now)
    last = record
    while True:
        at, after = moment(now), decision.record
        events += [EventRecord(at, after.phase, text) for text in decision.events]
        if after in (last, record) or decision.route is not None or decision.drops_route:
            return decision, events
        if after.is_ended or after.phase == "reverting" or after.step_at != last.step_at:
            return decision, events
        if after.phase != last.phase and not goes_on:
            return decision, events
        last = after
        further = decide(after, seen, now)
        if further.record == after:
            return decision, events
        decision = further


def _queued(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    if seen.route is None and record.route is UNSET:
        closed = closed_route(record.version.group)
        return Decision(msgspec.structs.replace(record, route=closed), closed)
    if fault := _provider_fault(seen):
        return turn_back(record, seen, now, "failed", fault)
    if record.paused:
        return _paused(record)
    if seen.gate is None:
        return Decision(record, act="provision", waits="the new version to be made")
    if seen.gate.is_made or seen.gate.is_done:
        return to(record, "provisioned", now, seen.gate.detail or "the new version is made")
    return _patience(record, seen, now, "ready", seen.gate.detail or "the new version to be made")


def _provisioned(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    if fault := _provider_fault(seen):
        return turn_back(record, seen, now, "failed", fault)
    if record.paused:
        return _paused(record)
    if seen.gate is None:
        return Decision(record, act="provision", waits="the new version to be healthy")
    if seen.gate.is_done:
        return to(record, "healthy", now, seen.gate.detail or "the new version is there")
    return _patience(record, seen, now, "ready", seen.gate.detail)


def _healthy(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    if seen.failed_act:
        return turn_back(record, seen, now, "failed", seen.failed_act)
    if record.paused:
        return _paused(record)
    if "publish" not in seen.done:
        return Decision(record, act="publish", waits="the service to be written")
    gate = gates.staged(record, seen)
    if gate.is_open:
        return to(record, "staged", now, gate.text)
    return _patience(record, seen, now, "stage", gate.text)


def _staged(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    if record.paused:
        return _paused(record)
    gate = gates.staged(record, seen)
    if record.strategy.preview and not record.promoted:
        group, first = record.version.group, record.strategy.shares[0]
        waits = (
            f"somebody to look at {group} ({PREVIEW_HEADER}: {group}) and promote it to {first}%"
        )
        return Decision(
            record, waits=waits if gate.is_open else f"{waits}; {gate.text}", until=now + 1.0
        )
    if not gate.is_open:
        return _patience(record, seen, now, "stage", gate.text)
    return _switch(record, seen, now, 1)


def _switch(record: DeploymentRecord, seen: Observed, now: float, step: int) -> Decision:
    """Write the route of a step."""
    shares = record.strategy.shares
    percent, group = shares[step - 1], record.version.group
    route = step_route(before(record), group, percent)
    after = msgspec.structs.replace(
        record,
        phase="switching",
        phase_at=moment(now),
        step=step,
        step_at="",
        route=route,
        servers=len(seen.wanted.get(group, ())),
        baseline=gates.baseline(seen, group),
        baseline_old=record.baseline_old or gates.baseline(seen, *old_groups(record)),
    )
    told = f"step {step} of {len(shares)}: {percent}% of the traffic to {group}"
    return Decision(after, route, events=(told,))


def _switching(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    if record.step_at:
        return _between_steps(record, seen, now)
    gate = gates.converged(record, seen)
    if not gate.is_open:
        return _patience(record, seen, now, "converge", gate.text)
    if record.step == len(record.strategy.shares):
        return to(record, "converged", now, gate.text, step_at=moment(now))
    return Decision(msgspec.structs.replace(record, step_at=moment(now)), events=(gate.text,))


def _between_steps(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    since, strategy, following = seconds(record.step_at), record.strategy, record.step + 1
    if decision := _watch(record, seen, now, since):
        return decision
    if record.paused:
        return _paused(record)
    goes_on = since + strategy.pause.seconds
    if record.promoted < following and (strategy.manual or now < goes_on):
        waits = f"the pause after step {record.step} to end"
        if strategy.manual:
            waits = f"somebody to promote it to {strategy.shares[following - 1]}%"
        return Decision(record, waits=waits, until=now + 1.0)
    gate = gates.staged(record, seen)
    if not gate.is_open:
        return Decision(record, waits=gate.text, until=now + 1.0)
    return _switch(record, seen, now, following)


def _converged(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    began = seconds(record.phase_at)
    if decision := _watch(record, seen, now, began):
        return decision
    if record.paused:
        return _paused(record)
    old = old_groups(record)
    gate = gates.drained(seen, old)
    if gate.is_open or not old:
        return to(record, "drained", now, gate.text if old else "there was no old version")
    ends = began + record.strategy.watch.seconds + record.strategy.drain_timeout.seconds
    if now < ends:
        return Decision(record, waits=gate.text, until=min(ends, now + 1.0))
    told = f"after {record.strategy.drain_timeout} {gate.text}"
    return to(record, "drained", now, told, notice=told)


def _drained(record: DeploymentRecord, seen: Observed, now: float) -> Decision:
    notice = ""
    if seen.silent and old_groups(record):
        names = "; ".join(f"{name}: {why}" for name, why in sorted(seen.silent.items()))
        notice = f"silent hosts may still serve the old version ({names})"
    return to(record, "deployed", now, "it is done", notice=notice, ended_at=moment(now))


def _watch(record: DeploymentRecord, seen: Observed, now: float, since: float) -> Decision | None:
    """Return what comes next while a step is watched; None: nothing speaks against it any more."""
    ends = since + record.strategy.watch.seconds
    if not record.strategy.watch:
        return None
    old = old_groups(record)
    verdict = gates.watched(record, seen, old)
    if verdict.fault and old and not any(seen.wanted.get(group) for group in old):
        # To go back to nothing would end the last of the traffic; a person may want it all the same.
        waits = f"{verdict.fault}; and {', '.join(old)} has no server to go back to"
        return Decision(record, waits=waits, until=now + 1.0)
    if verdict.fault:
        return turn_back(record, seen, now, "rolled back", verdict.fault)
    # Who reports and does not answer is not taken for a good one; its lease will tell.
    if now < ends or not verdict.is_open:
        waits = f"watched until {moment(ends)}: {verdict.text}"
        return Decision(
            record, waits=waits, until=min(ends, now + 1.0) if now < ends else now + 1.0
        )
    return None


def _patience(
    record: DeploymentRecord,
    seen: Observed,
    now: float,
    what: Literal["ready", "stage", "converge"],
    waits: str,
) -> Decision:
    """Wait, at most as long as the strategy says."""
    strategy = record.strategy
    limit = {
        "ready": strategy.ready_timeout,
        "stage": strategy.stage_timeout,
        "converge": strategy.converge_timeout,
    }[what]
    ends = seconds(record.phase_at) + limit.seconds
    if now >= ends:
        return turn_back(record, seen, now, "failed", f"after {limit}: {waits}")
    return Decision(record, waits=waits, until=min(ends, now + 1.0))


def _paused(record: DeploymentRecord) -> Decision:
    return Decision(record, waits=f"paused by {record.paused}")


def _provider_fault(seen: Observed) -> str:
    if seen.failed_act:
        return seen.failed_act
    return seen.gate.failed if seen.gate is not None else ""


_FORWARD = {
    "queued": _queued,
    "provisioned": _provisioned,
    "healthy": _healthy,
    "staged": _staged,
    "switching": _switching,
    "converged": _converged,
    "drained": _drained,
}
