"""The result of a pass. Status, metrics, the host's record and the log are views of it."""

from collections.abc import Mapping

import msgspec

from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.control import Requests
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.guard.guard import Hold
from lbsync.loop.outcome import Outcome


class PassResult(msgspec.Struct, frozen=True, eq=False):
    """The result of the last pass, with what is known from earlier ones."""

    asked: Requests = Requests()
    """Requests of operators, which a pass obeys even if it fails."""
    outcome: Outcome | None = None
    """How it ended; None before the first pass."""
    state: RenderedState | None = None
    """What the source asks for, with its problems, from the last pass that got this far."""
    hold: Hold | None = None
    """A removal that waits for an operator."""
    hold_age_s: float = 0.0
    """For how many seconds it has waited."""
    applied: ApplyResult | None = None
    """What HAProxy was proved to serve."""
    revision: int = 0
    """Served revision of the source; 0: unknown to this pass."""
    certificate_ends: Mapping[str, float] = {}
    """Path of each certificate to its end in seconds since 1970."""
