"""A plan: steps in the order that is safe, or why there must be a reload."""

from enum import IntEnum

import msgspec

from lbsync.agent.runtime.changes.steps import Step


class Phase(IntEnum):
    """The order of a plan. After any phase, HAProxy serves well if nothing more follows.

    What others lead to is there before they lead to it, and goes after they have left it; capacity
    comes before capacity goes.
    """

    ADD = 0
    """New servers and certificates."""
    LEAD = 1
    """New entries of maps whose values name backends."""
    RAISE = 2
    """New addresses, higher weights, servers out of maintenance; new values of map entries."""
    LOWER = 3
    """Lower weights, servers into maintenance."""
    OFFER = 4
    """New entries of the other maps, so that requests find what was made ready above."""
    REORDER = 5
    """Maps whose order counts, replaced as a whole."""
    WITHDRAW = 6
    """Entries that leave the other maps."""
    UNLEAD = 7
    """Entries that leave the maps whose values name backends; certificates that go."""
    RETIRE = 8
    """Servers that go: they get no new sessions from here on."""


class Stage(msgspec.Struct, frozen=True):
    """The steps of one phase, in order."""

    phase: Phase
    steps: tuple[Step, ...]


class Plan(msgspec.Struct, frozen=True):
    """What to do about the difference between what runs and what is wanted."""

    stages: tuple[Stage, ...] = ()
    """In the order of their phases. Where `reasons` are given, only what is right before the reload, too."""
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
    """A plan while it is being made."""

    def __init__(self) -> None:
        self._moves: list[tuple[Phase, Step]] = []
        self._reasons: list[str] = []

    def do(self, phase: Phase, *steps: Step) -> None:
        """Plan steps; those of one phase keep the order in which they came."""
        self._moves += [(phase, step) for step in steps]

    def reload(self, reason: str) -> None:
        """Note why a reload is needed."""
        self._reasons.append(reason)

    def merge(self, other: "PlanBuilder") -> None:
        """Take over what another draft planned, but none of its steps if it needs a reload."""
        self._reasons += other.reasons
        if not other.reasons:
            self._moves += other._moves

    def add(self, plan: Plan) -> None:
        """Take over a whole plan."""
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
