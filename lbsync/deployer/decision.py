"""The next action of a deployment, and the input of each decision. Pure."""

from typing import Literal

import msgspec
from msgspec import UNSET

from lbsync.deployer.observed import Observed
from lbsync.deployer.routing import groups_with_traffic
from lbsync.model.deploying import DeploymentRecord, Phase
from lbsync.model.records import RouteRecord
from lbsync.timestamps import stamp

Act = Literal["", "provision", "publish", "publish old", "remove", "remove app"]
_MOST_NOTICES = 20


class Decision(msgspec.Struct, frozen=True):
    """What comes next."""

    record: DeploymentRecord
    """The next record; the same one where nothing changes."""
    route: RouteRecord | None = None
    """The route that is written with it; None: it stays."""
    drops_route: bool = False
    """The route is removed with it: there was none before, and the app is gone."""
    leaves: tuple[str, ...] | None = None
    """It ends, and what was to be removed is kept for a while: a silent host may still serve it. These hosts report
    and have not confirmed that they do not, so it stays until they have. None: nothing is left."""
    act: Act = ""
    """What must be done before anything else; the record is written first where it changes."""
    events: tuple[str, ...] = ()
    waits: str = ""
    """What is waited for."""
    until: float = 0.0
    """When time alone may change the answer; 0: it does not."""


def to(
    record: DeploymentRecord, phase: Phase, now: float, told: str, *, notice: str = "", **more: str
) -> Decision:
    """Return the step to a phase. `told`: text of the event; `notice`: what remains in the record."""
    notices = (*record.notices, *([notice] if notice else []))[:_MOST_NOTICES]
    after = msgspec.structs.replace(
        record, phase=phase, phase_at=moment(now), waits="", notices=notices, **more
    )
    return Decision(after, events=(told or phase,))


def before(record: DeploymentRecord) -> RouteRecord | None:
    """Return the route before this deployment; None: there was none."""
    return None if record.previous is UNSET else record.previous


def old_groups(record: DeploymentRecord) -> tuple[str, ...]:
    """Return the groups that had traffic before it, except for its own."""
    group = record.version.group
    return tuple(name for name in groups_with_traffic(before(record)) if name != group)


def foreign_route(record: DeploymentRecord, seen: Observed) -> str:
    """Return what is wrong where the route is not as this deployment found or wrote it; empty: it is."""
    expected = record.previous if record.route is UNSET else record.route
    if (None if expected is UNSET else expected) == seen.route:
        return ""
    shares = seen.route.groups.items() if seen.route else ()
    groups = " ".join(f"{name}={share}" for name, share in shares) or "none at all"
    return f"somebody else changed the route meanwhile, to {groups}: it is left so"


def from_now(record: DeploymentRecord, now: float) -> DeploymentRecord:
    """Return the record with the phase that it is in, and the step, beginning now."""
    step_at = moment(now) if record.step_at else ""
    return msgspec.structs.replace(record, phase_at=moment(now), step_at=step_at)


def needs_new_answers(before: DeploymentRecord, decision: Decision) -> bool:
    """Tell whether the hosts' answers so far say nothing about the next condition: another route, or the
    sessions that remain once all hosts have the route. An unnecessary request costs a second, because hosts
    answer only that often."""
    return decision.route is not None or decision.record.step_at != before.step_at


def moment(at: float) -> str:
    """Return a moment in the format of records."""
    return stamp(at, milliseconds=True)
