"""A pass that has only to wait for `haproxy -c`, so that changes go on meanwhile."""

from collections.abc import Callable

from lbsync.agent.apply.change import Proof
from lbsync.agent.candidate.candidates import Candidate
from lbsync.loop.outcome import Outcome


class UnfinishedPass:
    """HAProxy was proved to serve all of a candidate, whose file is yet to be checked and made live.

    What the fast path changes meanwhile is left to the next pass. The file is not behind for that: without this pass
    it would not have the changes before either.
    """

    def __init__(
        self,
        candidate: Candidate,
        proof: Proof,
        began: float,
        finish: Callable[["UnfinishedPass"], Outcome],
        abandon: Callable[[], None],
    ) -> None:
        """`began`: when the pass did, as `time.monotonic` counts. `finish` and `abandon` are the agent's."""
        self.candidate = candidate
        self.proof = proof
        self.began = began
        self._finish = finish
        self.abandon = abandon
        """End it without a result; the next pass does not leave its file for later. May be called twice."""

    def is_ready(self) -> bool:
        """Tell whether `finish` has nothing to wait for. Never blocks."""
        return self.candidate.check is None or self.candidate.check.is_over()

    def finish(self) -> Outcome:
        """Make the file live if `haproxy -c` accepts it; else do all of a pass. Once only. Raises `LbsyncError`."""
        return self._finish(self)
