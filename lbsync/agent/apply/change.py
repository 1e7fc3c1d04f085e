"""How HAProxy gets to a candidate, and the proof that it got there."""

import msgspec

from lbsync.agent.apply.reload_limiter import Cause, Delay
from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.drift import Drift, some

Reasons = tuple[str, ...]


class Change(msgspec.Struct, frozen=True, eq=False):
    """How HAProxy gets from what it runs to a candidate."""

    plan: Plan
    """Runtime steps, or the reasons for a reload; empty if the candidate is already live."""
    cause: Cause
    """Why there is a reload, if there is one."""


class Proof(msgspec.Struct, frozen=True, eq=False):
    """That HAProxy serves all of a candidate, as it was read back."""

    found: list[Drift]
    """What was set by hand, and what was healed."""
    steps: int
    """Runtime changes that led there."""
    dropped: frozenset[str]
    """Backends that are gone from HAProxy and are not in the candidate's file either."""


class DeferredReload(msgspec.Struct, frozen=True):
    """A reload is needed but has to wait; nothing was changed, nothing is lost."""

    delay: Delay
    reasons: Reasons
    """Why it takes a reload."""
    applied: ApplyResult
    """What is served meanwhile, as it was read back."""

    def __str__(self) -> str:
        """One sentence."""
        return f"a reload waits: {self.delay.reason}"


class NotProved(Exception):
    """Raised when HAProxy acknowledged all runtime changes, but runs something else."""

    def __init__(self, drift: list[Drift]) -> None:
        super().__init__(some(drift))
