"""From the desired to a valid state: validate, quarantine the culprits, and repeat until it passes."""

from collections.abc import Callable
from typing import TypeVar

from lbsync.agent.candidate.costly_rest import CostlyRest
from lbsync.agent.candidate.culprits import Culprits, Tries
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.quarantine import Suspect
from lbsync.agent.desired.states import PassInput, RenderedState
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.errors import LbsyncError, Rejected, TemplateError, TooCostly

#: Each round quarantines at least one more, usually all that HAProxy names (up to 50); whatever else
#: changed then waits for the next pass.
_MOST_ROUNDS = 40
#: The same for rendering, which is cheap and may find many bad keys one by one.
_MOST_UNPRINTABLE = 200

T = TypeVar("T")

Judge = Callable[[RenderedState], T]
"""Raises `Refused` for a set that may not go live."""


class CandidateSearch:
    """Takes the culprits out of the desired state; see `culprits` for how they are found."""

    def __init__(self, builder: DesiredBuilder, watchdog_ping: Callable[[], None]) -> None:
        """`watchdog_ping` is called before each rendering."""
        self._builder = builder
        self._watchdog_ping = watchdog_ping
        self._culprits = Culprits(builder)
        self._rest = CostlyRest()

    def run(self, wanted: PassInput, judge: Judge[T], try_out: Judge[None]) -> T:
        """Return the result of `judge` for the set it accepts, as close to the desired state as possible.

        `try_out` judges as well but keeps nothing. Raises what `judge` raises if nothing that changed
        is at fault, and likewise the renderer's `TemplateError` and `Rejected`. After a `TooCostly`
        nothing is tried for minutes.
        """
        self._rest.check()
        try:
            accepted = self._judged(wanted, judge, self._tries(wanted, try_out))
        except TooCostly as error:
            self._rest.begin(error)
            raise
        self._rest.end()
        return accepted

    def _judged(self, wanted: PassInput, judge: Judge[T], tries: Tries) -> T:
        self._builder.restore_allowance()
        self._culprits.begin()
        for attempt in range(_MOST_ROUNDS + 1):
            state = self._printable(wanted)
            try:
                return judge(state)
            except Refused as refusal:
                if attempt < _MOST_ROUNDS - 1:
                    self._culprits.quarantine_refused(wanted, state, refusal, tries)
                else:
                    self._culprits.quarantine_all_changed(wanted, state, refusal, tries)
        raise LbsyncError(
            f"after quarantining {len(self._builder.quarantine.entries)} services and keys HAProxy "
            "still refuses; what is live stays; see the reasons above"
        )

    def load_failed(
        self,
        wanted: PassInput,
        state: RenderedState,
        findings: tuple[Finding, ...],
        binders: set[str],
    ) -> bool:
        """Quarantine what may have made a reload fail; see `Culprits.load_failed`."""
        return self._culprits.load_failed(wanted, state, findings, binders)

    def _printable(self, wanted: PassInput) -> RenderedState:
        """Return a set of everything that can be rendered; quarantine what cannot."""
        tries = self._tries(wanted, lambda _: None)
        for attempt in range(_MOST_UNPRINTABLE + 1):
            try:
                return self._state(wanted, set())
            except (Rejected, TemplateError) as error:
                decided = self._builder.decide(wanted)
                if attempt < _MOST_UNPRINTABLE - 1:
                    self._culprits.quarantine_unprintable(wanted, decided, error, tries)
                else:
                    self._culprits.quarantine_all_changed(wanted, decided, error, tries)
        return self._state(wanted, set())

    def _tries(self, wanted: PassInput, try_out: Judge[None]) -> Tries:
        """Return what tells why the set without some suspects is refused: rendered, then tried out."""

        def tries(trial: set[Suspect]) -> LbsyncError | None:
            try:
                try_out(self._state(wanted, trial))
            except (Rejected, TemplateError) as error:
                return error
            return None

        return tries

    def _state(self, wanted: PassInput, trial: set[Suspect]) -> RenderedState:
        self._watchdog_ping()
        return self._builder.render(wanted, frozenset(trial))
