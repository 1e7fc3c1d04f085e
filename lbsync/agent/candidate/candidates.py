"""Find what can go live: staged on disk, and validated there."""

from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.agent.candidate import bind_probe
from lbsync.agent.candidate.bind_probe import Ports
from lbsync.agent.candidate.failed_digests import LoadFailed
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.candidate.search import CandidateSearch
from lbsync.agent.candidate.validate import Refused, alike, finding, validate
from lbsync.agent.desired.builder import DesiredBuilder, PassInput, Plan
from lbsync.agent.file_names import HOST_MAP, MAIN_FILE
from lbsync.agent.generations import host_map as stored_host_map
from lbsync.agent.generations.integrity import IntegrityCheck
from lbsync.agent.generations.read import Confirmed, load
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config, Parser, main_text
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.agent.haproxycfg.loops import Loops
from lbsync.agent.haproxycfg.parser import Bind
from lbsync.agent.runtime import host_map
from lbsync.clients.haproxy import listeners, processes, sockets
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import LbsyncError, Unavailable
from lbsync.model.rendered import Rendered


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A plan that passed."""

    plan: Plan
    config: Config
    staged: Generation | None
    """None when the live generation already is what the plan asks for."""


class CandidateBuilder:
    """Tries plans on disk and with `haproxy -c`."""

    def __init__(
        self,
        store: Store,
        settler: DesiredBuilder,
        parser: Parser,
        options: HaproxyOptions,
        *,
        occupied: OccupiedPorts,
        beat: Callable[[], None],
    ) -> None:
        """`occupied`: ports of other programs. `beat` is called before each try."""
        self._occupied = occupied
        self._store = store
        self._parser = parser
        self._options = options
        self._beat = beat
        self._sieve = CandidateSearch(settler, beat)
        self._intact = IntegrityCheck(HOST_MAP)
        self._warned = log.OnChange()

    def find(
        self, question: PassInput, served: Confirmed | None, ready: Candidate | None = None
    ) -> Candidate:
        """Return a plan that HAProxy accepts, as near to what is wanted as can be.

        `ready`: what was found ahead; taken when it still is what is wanted, removed when not.
        Raises `Refused` when no service is at fault, or too many would be; `TemplateError` and
        `Rejected` when nothing can be rendered; `ApplyFailed` when the disk does not take a
        generation; `Unavailable` when `haproxy -c` cannot be run.
        """
        known = self._known_binds(served)
        self._occupied.look(bind.port for bind in known)

        def judge(plan: Plan) -> Candidate:
            nonlocal ready
            if self._is_live(plan.rendered):
                self.forget(ready)
                return Candidate(plan, self._config(plan, served), None)
            if ready is not None and ready.plan.rendered.digest == plan.rendered.digest:
                return Candidate(plan, ready.config, ready.staged)
            self.forget(ready)
            ready = None
            return self._stage(plan, known)

        return self._sieve.sift(question, judge, lambda plan: self.forget(self._stage(plan, known)))

    def not_taken(
        self, question: PassInput, found: Candidate, failure: LoadFailed, served: Confirmed | None
    ) -> bool:
        """Hold back whoever a failed reload may be due to; tell whether that is anybody."""
        live = self._store.live_link
        findings = tuple(finding(alert, live, found.config) for alert in failure.alerts)
        added = bind_probe.added(
            (bind for _, bind in found.config.binds()), self._known_binds(served)
        )
        binders = {placed.section.name for placed, bind in found.config.binds() if bind in added}
        return self._sieve.not_taken(question, found.plan, findings, binders)

    def forget(self, found: Candidate | None) -> None:
        """Remove from disk what was found ahead and is not wanted any more."""
        if found is not None and found.staged is not None:
            self._store.discard(found.staged)

    def _is_live(self, rendered: Rendered) -> bool:
        """Tell whether the live generation is what is wanted, on disk, too."""
        live = self._store.live()
        if live is None or live.digest != rendered.digest:
            return False
        if damaged := self._intact.damaged(live, rendered):
            log.get().error(f"somebody changed {live.path / damaged}; it is written anew")
        return not damaged

    def _config(self, plan: Plan, served: Confirmed | None) -> Config:
        if served is not None and served.rendered.digest == plan.rendered.digest:
            return served.config
        return self._parser.parse(main_text(plan.rendered))

    def _stage(self, plan: Plan, known: tuple[Bind, ...]) -> Candidate:
        self._beat()
        staged = self._again(plan) or self._store.stage(plan.rendered, plan.desired.revision)
        try:
            verdict = validate(
                staged,
                plan.rendered,
                self._parser,
                self._options,
                known_binds=known,
                ports=self._ports,
            )
            self._refuse_loops(plan, verdict.config)
        except LbsyncError:
            self._store.discard(staged)
            raise
        for what, warnings in alike(verdict.warnings).items():
            if self._warned.is_new(what):
                log.get().warning(f"HAProxy warns: {warnings[0]}")
        return Candidate(plan, verdict.config, staged)

    def _again(self, plan: Plan) -> Generation | None:
        """Return the generation that a rollback went back from, where just that is wanted again: it keeps
        its number. An older one is staged anew, so that numbers tell in which order things were served."""
        there = self._store.newest(plan.rendered.digest)
        if there is None or IntegrityCheck(HOST_MAP).damaged(there, plan.rendered):
            return None
        try:
            stored_host_map.update(there, plan.rendered, host_map.of(plan.rendered))
        except OSError:
            return None  # staging will say what is wrong with the disk
        meta = msgspec.structs.replace(there.meta, revision=plan.desired.revision)
        return msgspec.structs.replace(there, meta=meta)

    @staticmethod
    def _refuse_loops(plan: Plan, config: Config) -> None:
        """Raise `Refused` where a server is HAProxy itself."""
        loops = Loops((bind for _, bind in config.binds()), listeners.own_addresses())
        found = [
            Finding(MAIN_FILE, 0, loop.backend, loop.reason)
            for loop in loops.of(plan.desired.services)
        ]
        if found:
            raise Refused(found)

    def _known_binds(self, served: Confirmed | None) -> tuple[Bind, ...]:
        """Return the binds HAProxy may hold now: they are not probed."""
        if served is not None:
            return tuple(bind for _, bind in served.config.binds())
        live = self._store.live()
        if live is None:
            return ()
        config = self._parser.parse(main_text(load(live)))
        return tuple(bind for _, bind in config.binds())

    def _ports(self) -> Ports:
        self._occupied.look(at_once=True)
        return msgspec.structs.replace(self._seen_ports(), past=self._occupied.known())

    def _seen_ports(self) -> Ports:
        first_free = listeners.first_free_port()
        master = sockets.master(self._options)
        if master is None:
            return Ports(first_free=first_free, listeners=_listeners)
        try:
            proc = master.show_proc(retry_s=0)
        except Unavailable:
            return Ports(first_free=first_free, listeners=_listeners)
        workers = [proc.current, *proc.old_workers]
        held = processes.listening_ports([worker.pid for worker in workers if worker is not None])
        return Ports(held, processes.may_bind_low_ports(proc.pid), first_free, listeners=_listeners)


def _listeners() -> list[Bind]:
    return [Bind(address, port, 0) for address, port in listeners.listening()]
