"""A plan: steps in the order that is safe, or why there must be a reload."""

from enum import IntEnum

import msgspec

from lbsync.agent.runtime.changes.steps import Step


class Phase(IntEnum):
    """The order of a plan. HAProxy serves well after each phase, even if no other follows.

    Targets are added before anything leads to them and removed afterwards; capacity is added before
    other capacity is removed.
    """

    CREATE = 0
    """New backends, each with its servers."""
    ADD = 1
    """New servers and certificates."""
    ROUTE = 2
    """New entries of maps whose values name backends."""
    RAISE = 3
    """New addresses, higher weights, servers out of maintenance; new values of map entries."""
    LOWER = 4
    """Lower weights, servers into maintenance."""
    OFFER = 5
    """New entries of the other maps, so that requests reach what the phases above prepared."""
    REORDER = 6
    """Maps whose order matters, replaced as a whole."""
    WITHDRAW = 7
    """Removed entries of the other maps; before them, checks that read these end. Checks of a backend
    that is back begin, as what they read is there."""
    UNROUTE = 8
    """Removed entries of maps whose values name backends; removed certificates."""
    RETIRE = 9
    """Removed servers and backends: from here on they get no new sessions."""


class Stage(msgspec.Struct, frozen=True):
    """The steps of one phase, in order."""

    phase: Phase
    steps: tuple[Step, ...]


class Plan(msgspec.Struct, frozen=True):
    """What to do about the difference between what runs and what is wanted."""

    stages: tuple[Stage, ...] = ()
    """In the order of their phases. With `reasons`, only what may run before the reload."""
    reasons: tuple[str, ...] = ()
    """Why a reload is needed, each naming section and line or the file; empty: none is."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return tuple(step for stage in self.stages for step in stage.steps)

    @property
    def reload(self) -> bool:
        """A reload is needed."""
        return bool(self.reasons)

    @property
    def empty(self) -> bool:
        """HAProxy runs what is wanted."""
        return not self.stages and not self.reasons


class PlanBuilder:
    """Builds a plan."""

    def __init__(self) -> None:
        self._moves: list[tuple[Phase, Step]] = []
        self._reasons: list[str] = []

    def do(self, phase: Phase, *steps: Step) -> None:
        """Plan steps; those of one phase keep their order."""
        self._moves += [(phase, step) for step in steps]

    def reload(self, reason: str) -> None:
        """Note why a reload is needed."""
        self._reasons.append(reason)

    def merge(self, other: "PlanBuilder") -> None:
        """Add what another builder planned, without its steps if it needs a reload."""
        self._reasons += other.reasons
        if not other.reasons:
            self._moves += other._moves

    def add(self, plan: Plan) -> None:
        """Add a whole plan."""
        self._reasons += plan.reasons
        self._moves += [(stage.phase, step) for stage in plan.stages for step in stage.steps]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a reload is needed, so far."""
        return tuple(self._reasons)

    def finish(self, only: frozenset[Phase] = frozenset(Phase)) -> Plan:
        """Return the plan, or that part of it which `only` names."""
        found: dict[Phase, list[Step]] = {}
        for phase, step in self._moves:
            if phase in only:
                found.setdefault(phase, []).append(step)
        stages = (Stage(phase, tuple(found[phase])) for phase in sorted(found))
        return Plan(tuple(stages), self.reasons)
