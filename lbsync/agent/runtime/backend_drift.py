"""Which backends HAProxy runs that it should not, and the other way round. Pure.

They are seen where commands can make and delete them (3.4). What a backend stands on HAProxy does not
show: one that was deleted and made again by hand, with other settings, looks like the one that was there.
"""

from collections.abc import Iterator

from lbsync.agent.runtime.changes.backends import plan_new
from lbsync.agent.runtime.changes.change_set import Phase, Plan, PlanBuilder, Stage
from lbsync.agent.runtime.changes.section_diff import Pair
from lbsync.agent.runtime.changes.steps import PublishBackend, RetireBackend
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import ObservedState
from lbsync.agent.runtime.readback import Mismatch
from lbsync.clients.haproxy.capabilities import Capabilities

Found = tuple[Mismatch, Plan]
"""A difference, and what heals it."""


def compare(running: RuntimeConfig, observed: ObservedState, can: Capabilities) -> Iterator[Found]:
    """Yield every difference; nothing where backends were not asked for."""
    if observed.backends is None:
        return
    wanted = {
        s.name: s for s in running.sections.by_name.values() if s.kind in ("backend", "listen")
    }
    for name in sorted(observed.backends - wanted.keys()):
        heal = _stage(Phase.RETIRE, RetireBackend(name))
        if name not in running.leaving.backends:
            yield Mismatch(name, "backend", "absent", "present"), heal
        elif observed.unpublished is not None and name not in observed.unpublished:
            yield Mismatch(name, "backend", "unpublished", "published"), heal
    for name in sorted(wanted.keys() - observed.backends):
        section = wanted[name]
        if section.conditional:
            continue  # only HAProxy knows whether it exists
        mismatch = Mismatch(name, "backend", "present", "absent")
        draft = PlanBuilder()
        plan_new(
            draft, Pair(section, section, 1, running.sections.base(section)), running.ground(can)
        )
        heal = draft.finish()
        yield mismatch, Plan((), (f"{mismatch}; only a reload ends that",)) if heal.reload else heal
    for name in sorted((observed.unpublished or frozenset()) & wanted.keys()):
        if not wanted[name].disabled:
            heal = _stage(Phase.CREATE, PublishBackend(name))
            yield Mismatch(name, "backend", "published", "unpublished"), heal


def _stage(phase: Phase, step: PublishBackend | RetireBackend) -> Plan:
    return Plan((Stage(phase, (step,)),))
