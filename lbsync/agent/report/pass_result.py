"""What a pass came to. The status, the metrics, the fleet's record and the log are views of it."""

from collections.abc import Mapping

import msgspec

from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.control import Requests
from lbsync.agent.desired.builder import RenderedState
from lbsync.agent.guard.guard import Hold
from lbsync.loop.outcome import Outcome


class PassResult(msgspec.Struct, frozen=True, eq=False):
    """The last pass that ended, and what is known from those before it."""

    asked: Requests = Requests()
    """What operators ask for; obeyed by a pass also when that fails."""
    outcome: Outcome | None = None
    """How it ended; None while no pass has."""
    state: RenderedState | None = None
    """What the source asks for, with all that is wrong with it: of the last pass that got so far."""
    hold: Hold | None = None
    """A removal that waits for an operator."""
    hold_age_s: float = 0.0
    """For how many seconds it has waited."""
    applied: ApplyResult | None = None
    """What HAProxy serves, as far as it was proved."""
    revision: int = 0
    """Revision of the source that is served; 0: this pass did not get to know."""
    certificate_ends: Mapping[str, float] = {}
    """When each certificate that is served ends: seconds since 1970."""
