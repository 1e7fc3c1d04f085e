"""One pass, from a snapshot to a HAProxy that is proved to serve it. The order of stages is here.

A pass may run at any time, and twice: it compares what is wanted with what is, and does what is missing.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lbsync import log
from lbsync.agent.apply.converge import Converger, ReloadDeferred
from lbsync.agent.apply.reload_limiter import Limits, ReloadLimiter
from lbsync.agent.apply.switch import Applied, Switcher
from lbsync.agent.candidate.candidates import Candidate, CandidateBuilder
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.control import Asked, Control
from lbsync.agent.desired import access_loss, template_context
from lbsync.agent.desired.accepted import Accepted
from lbsync.agent.desired.builder import DesiredBuilder, PassInput, Plan
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.host_files import HostFiles
from lbsync.agent.fast_path import FastPath
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.agent.generations.read import Confirmed, chosen, load
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.guard.guard import Hold
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.outputs import Outputs
from lbsync.agent.removal_hold import RemovalHold
from lbsync.agent.report import pass_report
from lbsync.agent.report.problem_log import ProblemLog
from lbsync.agent.runtime import service_delta
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.agent.state_files import StateFiles
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy.options import from_settings
from lbsync.clients.source import Source
from lbsync.errors import Unavailable
from lbsync.loop.outcome import Outcome
from lbsync.model.permission import Permission
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings

#: How soon to look whether a server that was taken out has ended its sessions.
_LOOK_AFTER_LEAVING_S = 1.0
#: How soon to notice that HAProxy is gone, or is another process: one question on its socket.
_IS_IT_THERE_S = 10.0
_NOTHING: Entries = {}


class Agent:
    """The agent of one host: all that a pass needs, and what it remembers between two."""

    def __init__(self, settings: Settings, source: Source) -> None:
        """Raises `TemplateError` when the templates cannot be used."""
        state = Path(settings.state_dir)
        self._source = source
        self._store = Store(state, settings.agent.keep_generations)
        self._accepted = Accepted(state / "accepted.db")
        self._control = Control(state)
        self._parser = Parser()
        self._budget = ReloadLimiter(Limits.of(settings.agent))
        self._served: Confirmed | None = None
        self.holding = RemovalHold(self._control, settings, self._accepted)
        self._outputs = Outputs(settings)
        self._occupied = OccupiedPorts(state)
        self.state_files = StateFiles(
            self._store, self._accepted, self._control, self.holding.guard, self._occupied
        )
        self._spoken = ProblemLog()
        self._watching = False
        self._beat: Callable[[], None] | None = None
        self._ready: Candidate | None = None
        self._went_ahead = False
        self._tried: Candidate | None = None
        self.last: Plan | None = None
        """The plan of the last pass that had one: what was found wrong is in there."""
        self.applied: Applied | None = None
        """What the last pass applied or proved."""
        self.asked = Asked()
        """What the last pass obeyed."""
        self.configure(settings)
        self._store.sweep()
        if self._accepted.lost:
            log.get().warning(self._accepted.lost)

    def configure(self, settings: Settings) -> None:
        """Take over settings and templates; raises `TemplateError`, having changed nothing.

        `source`, `prefix` and `state_dir` stay those the agent was started with.
        """
        renderer = template_context.make_renderer(settings)
        directory = settings.proxy.certificates
        self._settings = settings
        options = from_settings(settings)
        self._store.master = MasterDirectory(options)
        self._live = HaproxyRuntime(options, settings.agent.leave_within.seconds)
        self._budget.limits = Limits.of(settings.agent)
        self.applier = Switcher(options, self._store)
        self._bringer = Converger(
            self._store,
            self.applier,
            self._live,
            self._parser,
            budget=self._budget,
            look_every_s=settings.agent.verify.seconds,
            beat=self._alive,
        )
        self._settler = DesiredBuilder(
            renderer,
            settings.reserved_ports,
            Permission(settings.claims),
            self.holding.guard,
            CertificateDirectory(Path(directory)) if directory else None,
            raw_keys=bool(settings.templates.directory or settings.outputs),
            contract=settings.templates.contract,
            host_files=HostFiles(settings.proxy.name_servers),
        )
        self.certificates = self._settler.certificates
        self._know_raw()
        self.holding.configure(settings)
        self._outputs.configure(settings)
        if (live := self._store.live()) is not None:
            there = load(live)
            self._settler.host_files.remember(there)
            self.certificates.last = template_context.certificates_in(there) if directory else ()
        self._occupied.given_away = settings.given_away_ports
        self._trial = CandidateBuilder(
            self._store,
            self._settler,
            self._parser,
            options,
            occupied=self._occupied,
            beat=self._alive,
        )
        foreseen = service_delta.foreseeable(settings, template_context.own_templates(settings))
        self._ahead = FastPath(self._live, self._settler, self.holding, foreseen=foreseen)
        self._trial.forget(self._ready)
        self._ready = None

    @property
    def _known(self) -> Entries:
        """What was accepted, as far as it still counts."""
        return self._accepted.entries if self._settings.templates.contract else _NOTHING

    def watch(self, wake: Callable[[], None], beat: Callable[[], None]) -> None:
        """Begin to follow the source; `wake` is called from another thread after each change, `beat` in
        a pass before each step that may take its time, to show that it goes on."""
        self._watching, self._beat = True, beat
        self._outputs.watch(wake)
        self._source.start(wake)

    def close(self) -> None:
        """End what goes on beside the passes; see `Outputs.close`."""
        self._outputs.close()

    def run_pass(self) -> Outcome:
        """Bring HAProxy to what is wanted, or say why not. Raises `LbsyncError`."""
        self.state_files.look(self._live)
        return self._pass().within(self._look_in())

    def _pass(self) -> Outcome:
        began = time.monotonic()
        ready, self._ready, self._went_ahead = self._ready, None, False
        self.asked = self._control.asked()
        if (pin := self.asked.rollback) is not None:
            self._trial.forget(ready)
            return pass_report.pinned(self._serve(chosen(self._store, pin.value)), pin.since)
        try:
            snapshot = self._source.snapshot()
        except Unavailable as error:
            self._trial.forget(ready)
            live = self._store.live()
            if live is None:
                raise
            # What `lbsync prepare` left for HAProxy's first start was never what anybody wanted.
            wanted_once = live.meta.confirmed_at is not None
            return pass_report.without_source(self._serve(live), error, wanted_once)
        if self._accepted.unread:
            self._accepted.read()
            self._know_raw()
        question = self._question(snapshot, self.asked)
        try:
            return self._go(question, ready, began)
        except LoadFailed as failure:
            if self._tried is None or not self._trial.not_taken(
                question, self._tried, failure, self._served
            ):
                raise
        # The others need not wait for whoever it was.
        return self._go(question, None, began)

    def _go(self, question: PassInput, ready: Candidate | None, began: float) -> Outcome:
        self._tried = None
        found = self._trial.find(question, self._served, ready)
        # Entries do not tell of servers that templates make of keys as they are stored.
        blind = not self._known or not self._settings.templates.packaged
        hold = self.holding.judge(found, self._store, self._parser, question.snapshot, blind=blind)
        if hold is not None and found.plan.hold is None:
            outcome = self._hold_all(found, hold)
        else:
            self._tried = found
            outcome = self._apply(found, began)
        return pass_report.stale(outcome, self._source.health()) if self._watching else outcome

    def _hold_all(self, found: Candidate, hold: Hold) -> Outcome:
        self._trial.forget(found)
        self.last = msgspec.structs.replace(found.plan, hold=hold)
        live = self._store.live()
        assert live is not None
        return pass_report.held_whole(self._serve(live), hold).within(self.holding.waits())

    def _apply(self, found: Candidate, began: float) -> Outcome:
        """Bring what was found into force, and accept it once it is proved."""
        before = self._known
        self._release()
        try:
            urgent = bool(access_loss.less_access(before, found.plan.entries))
            applied = self._bringer.bring(found, urgent=urgent)
        except ReloadDeferred as wait:
            self._ready, self.last, self.applied = found, found.plan, wait.applied
            return pass_report.deferred(found.plan, wait).within(self.holding.waits())
        if applied.outcome == "confirmed":
            self._accepted.replace(found.plan.entries, found.plan.raw)
            self._know_raw()
            self._served = Confirmed(applied.generation, found.plan.rendered, found.config)
            self.state_files.serves(applied.generation, found.plan.rendered)
            self._ahead.starts_from(found.plan.desired.services, found.config)
            self.holding.served(found.plan)
            self._settler.certificates.last = template_context.certificates_in(found.plan.rendered)
            self._store.prune()
            if found.plan.hold is None:
                self._control.forget("confirm")
        self.last, self.applied = found.plan, applied
        self._spoken.tell(found.plan.desired.problems)
        installed = self._outputs.bring(found.plan.outside)
        seconds = time.monotonic() - began
        outcome = pass_report.outcome(found.plan, applied, installed, before, seconds)
        return outcome.within(self.holding.waits() + self._outputs.waits())

    def _alive(self) -> None:
        self.state_files.check()
        if self._beat is not None:
            self._beat()

    def _look_in(self) -> list[float]:
        """Return after how many seconds what runs is to be looked after, although nothing changed."""
        try:
            leaving = self._live.tidy()
        except Unavailable:
            leaving = False
        waits = [self._settings.agent.verify.seconds, _IS_IT_THERE_S]
        if leaving:
            waits.append(_LOOK_AFTER_LEAVING_S)
        return waits

    def _release(self) -> bool:
        """Undo what was set by hand, where that was asked for; tell whether it was done."""
        if self._control.get("release") is None or not self._bringer.release():
            return False
        self._control.forget("release")
        return True

    def _know_raw(self) -> None:
        self._settler.good_raw = self._accepted.raw

    def look_again(self) -> None:
        """Let the next pass read everything back, whenever that was last done."""
        self._bringer.look_again()

    def ahead(self) -> bool:
        """Do at once what need not wait for the debounce: called right after each wake.

        What HAProxy can take while it runs is done, the file follows with the pass. For what needs a
        reload, the generation is staged and validated, once between two passes: in a burst, what is
        found ahead is soon not wanted any more. True when nothing is left but the file.
        """
        if self._served is None or (asked := self._control.asked()).rollback:
            return False
        snapshot = self._source.snapshot()
        left = self._ahead.change(snapshot, self._known)
        if left and not self._went_ahead:
            self._went_ahead = True
            self._ready = self._trial.find(self._question(snapshot, asked), self._served)
        return not left

    def _question(self, snapshot: Snapshot, asked: Asked) -> PassInput:
        return PassInput(snapshot, self._known, asked.drain is not None, self.holding.let_go)

    def _serve(self, wanted: Generation) -> Applied:
        draining = self.asked.drain is not None
        self.applied = self._bringer.serve(wanted, draining=draining)
        if self._release():
            self.applied = self._bringer.serve(wanted, draining=draining)
        self.state_files.serves(wanted)
        self._ahead.starts_from(())
        return self.applied
