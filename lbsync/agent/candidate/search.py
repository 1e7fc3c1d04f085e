"""From what is wanted to what is accepted: judged, the culprits held back, judged again, until it passes."""

from collections.abc import Callable
from typing import TypeVar

from lbsync.agent.candidate.culprits import Culprits
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.desired.builder import DesiredBuilder, PassInput, Plan
from lbsync.agent.desired.quarantine import Suspect
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.errors import LbsyncError, Rejected, TemplateError

#: Each round holds back at least one more, as a rule all that HAProxy names (up to 50); who is found by
#: then is, and the others that changed wait for the next pass.
_MOST_ROUNDS = 40
#: The same for rendering, which is cheap and may have to find many bad keys one by one.
_MOST_UNPRINTABLE = 200

T = TypeVar("T")

Judge = Callable[[Plan], T]
"""Raises `Refused` for a plan that may not go live."""


class CandidateSearch:
    """Takes the culprits out of what is wanted; see `culprits` for who that is."""

    def __init__(self, settler: DesiredBuilder, beat: Callable[[], None]) -> None:
        """`beat` is called before each rendering."""
        self._settler = settler
        self._beat = beat
        self._culprits = Culprits(settler)

    def sift(self, question: PassInput, judge: Judge[T], try_out: Judge[None]) -> T:
        """Return what `judge` makes of the plan it accepts, as near to what is wanted as can be.

        `try_out` judges, too, but keeps nothing of it. Raises what `judge` raises when that is the
        fault of nobody who changed, and the renderer's `TemplateError` and `Rejected` likewise.
        """

        def tries(held: set[Suspect]) -> LbsyncError | None:
            try:
                try_out(self._plan(question, held))
            except (Rejected, TemplateError) as error:
                return error
            return None

        self._settler.allow_anew()
        self._culprits.begin()
        for attempt in range(_MOST_ROUNDS + 1):
            plan = self._printable(question)
            try:
                return judge(plan)
            except Refused as refusal:
                if attempt < _MOST_ROUNDS - 1:
                    self._culprits.refused(question, plan, refusal, tries)
                else:
                    self._culprits.all_that_changed(question, plan, refusal, tries)
        raise LbsyncError(
            f"after holding back {len(self._settler.quarantine.bars)} services and keys HAProxy "
            "still refuses; what is live stays; see the reasons above"
        )

    def not_taken(
        self, question: PassInput, plan: Plan, findings: tuple[Finding, ...], binders: set[str]
    ) -> bool:
        """Hold back whoever a failed reload may be due to; see `Culprits.not_taken`."""
        return self._culprits.not_taken(question, plan, findings, binders)

    def _printable(self, question: PassInput) -> Plan:
        """Return a plan of all that can be rendered; hold back what cannot."""

        def tries(held: set[Suspect]) -> LbsyncError | None:
            try:
                self._plan(question, held)
            except (Rejected, TemplateError) as error:
                return error
            return None

        for attempt in range(_MOST_UNPRINTABLE + 1):
            try:
                return self._plan(question, set())
            except (Rejected, TemplateError) as error:
                settled = self._settler.settle(
                    question.snapshot, question.accepted, question.let_go
                )
                if attempt < _MOST_UNPRINTABLE - 1:
                    self._culprits.unprintable(question, settled, error, tries)
                else:
                    self._culprits.all_that_changed(question, settled, error, tries)
        return self._plan(question, set())

    def _plan(self, question: PassInput, held: set[Suspect]) -> Plan:
        self._beat()
        return self._settler.plan(
            question.snapshot,
            question.accepted,
            question.draining,
            question.let_go,
            frozenset(held),
        )
