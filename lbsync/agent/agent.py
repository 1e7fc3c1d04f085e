"""One pass, from a snapshot to a HAProxy that was verified to serve it. This module defines the order of the
stages.

A pass may run at any time, and repeatedly. If anything fails, HAProxy continues with the last good generation.
"""

import time
from collections.abc import Callable

import msgspec

from lbsync.agent.apply import access_loss
from lbsync.agent.apply.change import DeferredReload
from lbsync.agent.apply.switch import ApplyResult
from lbsync.agent.candidate.candidates import Candidate
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.control import Request, Requests
from lbsync.agent.desired.states import PassInput
from lbsync.agent.generations.read import LoadedGeneration, chosen
from lbsync.agent.generations.store import Generation
from lbsync.agent.guard.guard import Hold
from lbsync.agent.report import pass_report
from lbsync.agent.report.pass_result import PassResult
from lbsync.agent.report.problem_log import ProblemLog
from lbsync.agent.stages import Memory, Stages
from lbsync.agent.unfinished import UnfinishedPass
from lbsync.clients.source import Source
from lbsync.errors import LbsyncError, Unavailable
from lbsync.loop.outcome import Outcome
from lbsync.settings import Settings


class Agent:
    """The agent of one host: the order of a pass, and what is remembered between two."""

    def __init__(self, settings: Settings, source: Source) -> None:
        """Raises `TemplateError` when the templates cannot be used."""
        self._source = source
        self._memory = Memory(settings)
        self._problems = ProblemLog()
        self._watching = False
        self._watchdog_ping: Callable[[], None] | None = None
        self._stages = Stages.of(settings, self._memory, self._show_alive)
        self._memory.follow(settings, self._stages.master)
        self.state_files = self._memory.state_files
        self.control = self._memory.control
        self._confirmed: LoadedGeneration | None = None
        self._prebuilt: Candidate | None = None
        self._has_prebuilt = False
        self._unfinished: UnfinishedPass | None = None
        self._is_whole = False
        self.result = PassResult()
        """Of the last pass."""

    def configure(self, settings: Settings) -> None:
        """Take over settings and templates; raises `LbsyncError`, having changed nothing.

        `source`, `prefix` and `state_dir` stay those the agent was started with.
        """
        stages = Stages.of(settings, self._memory, self._show_alive)
        self._stages.candidates.forget(self._pop_prebuilt())
        self._stages = stages
        self._memory.follow(settings, stages.master)

    @property
    def settings(self) -> Settings:
        """What the next pass follows."""
        return self._stages.settings

    @property
    def steps(self) -> int:
        """Changes made without a reload since the last pass ended."""
        return self._stages.runtime.steps

    @property
    def is_reloading(self) -> bool:
        """A reload of the agent's own runs."""
        return self._stages.switcher.is_reloading

    def watch(self, wake: Callable[[], None], watchdog_ping: Callable[[], None]) -> None:
        """Begin to follow the source; `wake` is called from another thread after each change,
        `watchdog_ping` in a pass before each step that may take its time, to show that it goes on."""
        self._watching, self._watchdog_ping = True, watchdog_ping
        self._memory.outputs.watch(wake)
        self._source.start(wake)

    def close(self) -> None:
        """End what runs beside the passes; see `Outputs.close`."""
        self._abandon()
        self._memory.outputs.close()

    def verify_all_next(self) -> None:
        """Let the next pass read everything back, even if that was just done."""
        self._stages.converger.verify_all_next()

    def run_pass(self, *, whole: bool = False) -> Outcome:
        """Make HAProxy serve what is wanted, or say why not. Raises `LbsyncError`."""
        done = self.begin_pass(whole=whole)
        return done.finish() if isinstance(done, UnfinishedPass) else done

    def begin_pass(self, *, whole: bool = False) -> Outcome | UnfinishedPass:
        """As `run_pass`, up to where it has only to wait for `haproxy -c`: changes may go on until it is finished.

        `whole`: wait in any case.
        """
        self._is_whole |= whole
        self.state_files.restore(self._stages.runtime)
        asked = self._memory.control.asked()
        self.result = msgspec.structs.replace(self.result, asked=asked)
        done = self._pass(asked, self._pop_prebuilt())
        self._is_whole = False
        return done if isinstance(done, UnfinishedPass) else self._ended(done)

    def _ended(self, outcome: Outcome) -> Outcome:
        outcome = outcome.within(self._stages.next_passes())
        self._note(outcome=outcome)
        return outcome

    def _pass(
        self, asked: Requests, prebuilt: Candidate | None, *, again: bool = False
    ) -> Outcome | UnfinishedPass:
        """From what the source says to what HAProxy is proved to serve: the picture in the manual.

        `prebuilt`: a candidate that the fast path has built. `again`: a reload has failed in this pass,
        and whatever may have caused it is quarantined.
        """
        began, stages, memory = time.monotonic(), self._stages, self._memory
        if asked.rollback is not None:
            return self._pinned(asked.rollback, prebuilt)
        try:
            snapshot = self._source.snapshot()
        except Unavailable as error:
            return self._without_source(error, prebuilt)
        wanted = stages.wanted(memory, snapshot, asked)
        candidate = stages.candidates.build(
            wanted, self._confirmed, prebuilt, may_be_unchecked=self._may_finish_later
        )
        hold = self._hold(candidate)
        self._problems.update(candidate.state.desired.problems)
        if hold is not None and candidate.state.hold is None:
            return self._all_held(candidate, hold)
        if candidate.check is None:
            return self._apply(candidate, wanted, began, again=again)
        if (proof := stages.proved(memory, candidate)) is None:
            self._is_whole = True
            return self._pass(asked, None)
        self._unfinished = UnfinishedPass(candidate, proof, began, self._finish, self._abandon)
        return self._unfinished

    def _may_finish_later(self, candidate: Candidate) -> bool:
        return not self._is_whole and self._stages.runs(self._memory, candidate)

    def _apply(
        self, candidate: Candidate, wanted: PassInput, began: float, *, again: bool
    ) -> Outcome | UnfinishedPass:
        stages, memory = self._stages, self._memory
        memory.outputs.update(candidate.state.outside)
        stages.release(memory)
        change = stages.converger.plan(candidate)
        reasons = change.plan.reasons
        less = access_loss.less_access(stages.known(memory), candidate.state.entries, reasons)
        try:
            applied = stages.converger.apply(candidate, change, urgent=bool(less))
        except LoadFailed as failure:
            if again or not stages.candidates.load_failed(
                wanted, candidate, failure, self._confirmed
            ):
                raise
            return self._pass(self.result.asked, None, again=True)  # the others need not wait
        if isinstance(applied, DeferredReload):
            return self._deferred(candidate, applied)
        return self._accept(candidate, applied, began)

    def _hold(self, candidate: Candidate) -> Hold | None:
        """Return the removal that has to wait, if one does."""
        memory = self._memory
        # Entries say nothing about servers that templates make of raw keys.
        blind = not self._stages.known(memory) or not self._stages.settings.templates.packaged
        hold = memory.removal_hold.judge(candidate, memory.store, memory.parser, blind=blind)
        self._note(state=candidate.state, hold=hold)
        return hold

    def _pinned(self, rollback: Request, prebuilt: Candidate | None) -> Outcome:
        """End a pass that an operator has rolled back to an older generation."""
        self._stages.candidates.forget(prebuilt)
        applied = self._serve(chosen(self._memory.store, rollback.value))
        return pass_report.pinned(applied, rollback.since)

    def _without_source(self, error: Unavailable, prebuilt: Candidate | None) -> Outcome:
        """End a pass that has no source, only an earlier generation."""
        self._stages.candidates.forget(prebuilt)
        if (live := self._memory.store.live()) is None:
            raise error
        # Nobody ever wanted what `lbsync prepare` left for HAProxy's first start.
        wanted_once = live.meta.confirmed_at is not None
        return pass_report.without_source(self._serve(live), error, wanted_once)

    def _all_held(self, candidate: Candidate, hold: Hold) -> Outcome:
        """End a pass that holds everything, as no entry says which part is the removal."""
        memory = self._memory
        self._stages.candidates.forget(candidate)
        if (live := memory.store.live()) is None:
            raise LbsyncError(f"{memory.store.live_link}: is gone; the next pass writes it anew")
        applied = self._serve(live)
        memory.outputs.retry()
        return self._followed(pass_report.held_whole(applied, hold, memory.outputs.result()))

    def _deferred(self, candidate: Candidate, wait: DeferredReload) -> Outcome:
        """End a pass whose reload has to wait; its candidate is kept for the pass that may."""
        self._prebuilt = candidate
        self._note(applied=wait.applied, revision=0)
        installed = self._memory.outputs.result()
        return self._followed(pass_report.deferred(candidate.state, wait, installed))

    def _finish(self, unfinished: UnfinishedPass) -> Outcome:
        stages, memory = self._stages, self._memory
        is_wanted, self._unfinished = unfinished is self._unfinished, None
        candidate = stages.checked(memory, unfinished.candidate) if is_wanted else None
        if candidate is None:
            return self.run_pass(whole=True)
        memory.outputs.update(candidate.state.outside)
        applied = stages.converger.adopt(candidate, unfinished.proof)
        return self._ended(self._accept(candidate, applied, unfinished.began, noted=True))

    def _abandon(self) -> None:
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is not None:
            self._is_whole = True
            self._stages.candidates.forget(unfinished.candidate)

    def _accept(
        self, candidate: Candidate, applied: ApplyResult, began: float, *, noted: bool = False
    ) -> Outcome:
        """Accept what was proved as the last good version of everything. `noted`: that it is served."""
        state, memory = candidate.state, self._memory
        before = self._stages.known(memory)
        if applied.outcome == "confirmed":
            if not noted:
                self._stages.note_served(memory, candidate)
            self._stages.note_accepted(memory, candidate)
            self._confirmed = LoadedGeneration(applied.generation, state.rendered, candidate.config)
            self.state_files.note_served(applied.generation, state.rendered)
        self._note(applied=applied, revision=state.desired.revision)
        installed = memory.outputs.result()
        seconds = time.monotonic() - began
        return self._followed(pass_report.outcome(state, applied, installed, before, seconds))

    def _followed(self, outcome: Outcome) -> Outcome:
        """Add what every pass that follows the source has: when the next one is due, and whether what is
        served may be stale because the source does not answer."""
        memory = self._memory
        outcome = outcome.within(memory.removal_hold.waits() + memory.outputs.waits())
        return pass_report.stale(outcome, self._source.health()) if self._watching else outcome

    def _serve(self, wanted: Generation) -> ApplyResult:
        """Make HAProxy serve an earlier generation."""
        draining = self.result.asked.drain is not None
        applied = self._stages.serve(self._memory, wanted, draining=draining)
        self._note(applied=applied, revision=0)
        return applied

    def run_fast_path(self) -> bool:
        """Do at once what need not wait for the debounce; called right after each wake.

        Runtime changes are made now, and the next pass writes the file. For a reload, the candidate is built, but only
        once between two passes: in a burst it is soon out of date. True when only the file is left to write.
        """
        asked = self._memory.control.asked()
        if self._confirmed is None or asked.rollback:
            return False
        wanted = self._stages.wanted(self._memory, self._source.snapshot(), asked)
        left = self._stages.fast_path.change(wanted)
        if left:
            self._abandon()
        if left and not self._has_prebuilt:
            self._has_prebuilt = True
            self._prebuilt = self._stages.candidates.build(wanted, self._confirmed)
        return not left

    def proved_ahead(self) -> int:
        """Read back what `run_fast_path` did; see `FastPath.proved_revision`."""
        return self._stages.fast_path.proved_revision()

    def _pop_prebuilt(self) -> Candidate | None:
        prebuilt, self._prebuilt, self._has_prebuilt = self._prebuilt, None, False
        return prebuilt

    def _note(self, **known: object) -> None:
        memory = self._memory
        self.result = msgspec.structs.replace(
            self.result,
            hold_age_s=memory.removal_hold.age(),
            certificate_ends=self._stages.builder.certificates.ends,
            **known,
        )

    def _show_alive(self) -> None:
        self.state_files.check()
        if self._watchdog_ping is not None:
            self._watchdog_ping()
