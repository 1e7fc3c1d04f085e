"""The stages of a pass, built from the settings; new settings replace all stages, or none."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from lbsync import log
from lbsync.agent.apply.change import Change, NotProved, Proof
from lbsync.agent.apply.converge import Converger
from lbsync.agent.apply.reload_limiter import Limits, ReloadLimiter
from lbsync.agent.apply.switch import ApplyResult, Switcher
from lbsync.agent.candidate.candidates import Candidate, CandidateBuilder
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.candidate.validate import Refused
from lbsync.agent.control import Control, Requests
from lbsync.agent.desired import template_context
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.decode import Entries
from lbsync.agent.desired.host_files import HostFiles
from lbsync.agent.desired.states import PassInput
from lbsync.agent.fast_path import FastPath
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.outputs import Outputs
from lbsync.agent.removal_hold import RemovalHold
from lbsync.agent.render.renderer import Renderer
from lbsync.agent.runtime.changes.change_set import Plan
from lbsync.agent.runtime.deltas import service_delta
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.agent.state_files import StateFiles
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Unavailable
from lbsync.model.permission import Permission
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings

#: How soon to check whether a retired server has ended its sessions.
_REAP_AGAIN_S = 1.0
#: How soon to notice that HAProxy is gone or was restarted: one question on its socket.
_SAME_WORKER_EVERY_S = 10.0
_NOTHING: Entries = {}


class Memory:
    """What an agent remembers from pass to pass, even when its settings change."""

    def __init__(self, settings: Settings) -> None:
        """Read what is on disk in `state_dir`."""
        state = Path(settings.state_dir)
        self.store = Store(state, settings.agent.keep_generations)
        self.accepted = AcceptedStore(state / "accepted.db")
        self.control = Control(state)
        self.parser = Parser()
        self.limiter = ReloadLimiter(Limits.of(settings.agent))
        self.removal_hold = RemovalHold(self.control, settings, self.accepted)
        self.occupied = OccupiedPorts(state)
        self.outputs = Outputs(settings)
        self.state_files = StateFiles(
            self.store, self.accepted, self.control, self.removal_hold.guard, self.occupied
        )
        self.store.sweep()
        if self.accepted.lost:
            log.get().warning(self.accepted.lost)

    def follow(self, settings: Settings, master: MasterDirectory) -> None:
        """Take over settings; `source`, `prefix` and `state_dir` stay the same. Cannot fail."""
        self.store.master = master
        self.limiter.limits = Limits.of(settings.agent)
        self.removal_hold.configure(settings)
        self.occupied.given_away = settings.given_away_ports
        self.outputs.configure(settings)


class Stages(msgspec.Struct, frozen=True, eq=False):
    """All parts of a pass, built from one set of settings."""

    settings: Settings
    master: MasterDirectory
    runtime: HaproxyRuntime
    switcher: Switcher
    converger: Converger
    builder: DesiredBuilder
    candidates: CandidateBuilder
    fast_path: FastPath

    @classmethod
    def of(cls, settings: Settings, memory: Memory, watchdog_ping: Callable[[], None]) -> Self:
        """Build all stages, changing nothing in `memory`.

        `watchdog_ping` is called before each step that may take long. Raises `TemplateError` when
        templates cannot be used, `LbsyncError` when the live generation cannot be read.
        """
        options = from_settings(settings)
        renderer = template_context.make_renderer(settings)
        builder = _builder(settings, memory, renderer)
        runtime = HaproxyRuntime(options, settings.agent.leave_within.seconds)
        switcher = Switcher(options, memory.store)
        own = template_context.own_templates(settings)
        return cls(
            settings,
            MasterDirectory(options),
            runtime,
            switcher,
            Converger(
                memory.store,
                switcher,
                runtime,
                memory.parser,
                limiter=memory.limiter,
                verify_every_s=settings.agent.verify.seconds,
                watchdog_ping=watchdog_ping,
            ),
            builder,
            CandidateBuilder(
                memory.store,
                builder,
                memory.parser,
                options,
                occupied=memory.occupied,
                watchdog_ping=watchdog_ping,
            ),
            FastPath(
                runtime,
                builder,
                memory.removal_hold,
                predictable=service_delta.is_predictable(settings, own),
                own_rules=service_delta.has_own_rules(own),
                whole=template_context.prints_services_as_packaged(settings, renderer),
            ),
        )

    def known(self, memory: Memory) -> Entries:
        """Return what was accepted, as far as it still counts."""
        return memory.accepted.entries if self.settings.templates.contract else _NOTHING

    def wanted(self, memory: Memory, snapshot: Snapshot, asked: Requests) -> PassInput:
        """Return what a pass begins with."""
        if memory.accepted.unread:
            memory.accepted.read()
            self.builder.good_raw = memory.accepted.raw
        return PassInput(
            snapshot,
            self.known(memory),
            asked.drain is not None,
            memory.removal_hold.is_approved,
        )

    def runs(self, memory: Memory, candidate: Candidate) -> bool:
        """Tell whether HAProxy runs all of a candidate already, and nobody asks for more than its file."""
        if candidate.state.hold or candidate.state.approved or memory.control.get("release"):
            return False
        change = self.converger.plan(candidate)
        if change.plan.steps and not change.plan.reload and self.fast_path.renew(candidate):
            change = self.converger.plan(candidate)
        return change.plan.empty and change.cause == "change"

    def proved(self, memory: Memory, candidate: Candidate) -> Proof | None:
        """Prove that HAProxy serves a candidate that it runs; None, and the candidate is forgotten: it does not.

        Raises `StateError`.
        """
        try:
            proof = self.converger.prove(candidate, Change(Plan(), "change"))
        except (Deviated, Unavailable, NotProved):
            self.candidates.forget(candidate)
            return None
        self.note_served(memory, candidate)
        return proof

    def checked(self, memory: Memory, candidate: Candidate) -> Candidate | None:
        """Return a candidate that was proved to be served once HAProxy has accepted its file.

        None, and it is forgotten: it takes a whole pass to find out who is at fault, or what another worker serves.
        Raises `Unavailable` when `haproxy -c` takes too long, and `Superseded`.
        """
        memory.state_files.check()
        try:
            candidate = self.candidates.checked(candidate)
        except Refused:
            return None
        if self.runtime.is_same_worker():
            return candidate
        self.candidates.forget(candidate)
        return None

    def next_passes(self) -> list[float]:
        """Return in how many seconds a pass is due even if nothing changes."""
        try:
            leaving = self.runtime.reap_retired()
        except Unavailable:
            leaving = False
        waits = [self.settings.agent.verify.seconds, _SAME_WORKER_EVERY_S]
        return [*waits, _REAP_AGAIN_S] if leaving else waits

    def release(self, memory: Memory) -> bool:
        """Undo what was set by hand if an operator asked for it; tell whether that was done."""
        if memory.control.get("release") is None or not self.converger.release():
            return False
        memory.control.carried_out("release")
        return True

    def serve(self, memory: Memory, wanted: Generation, *, draining: bool) -> ApplyResult:
        """Make HAProxy serve an earlier generation. Raises `LbsyncError`."""
        applied = self.converger.serve(wanted, draining=draining)
        if self.release(memory):
            applied = self.converger.serve(wanted, draining=draining)
        memory.state_files.note_served(wanted)
        self.fast_path.start_from(())
        return applied

    def note_served(self, memory: Memory, candidate: Candidate) -> None:
        """Note that HAProxy was proved to serve a candidate. Raises `StateError`."""
        self.fast_path.start_from(candidate.state.desired.services, candidate.config)
        memory.removal_hold.served(candidate.state)

    def note_accepted(self, memory: Memory, candidate: Candidate) -> None:
        """Note that the files of a candidate, which is served, are live as well. Raises `StateError`."""
        state = candidate.state
        memory.accepted.replace(state.entries, state.raw)
        self.builder.good_raw = memory.accepted.raw
        self.builder.certificates.last = template_context.certificates_in(state.rendered)
        memory.store.prune()
        if state.hold is None:
            memory.control.forget("confirm")


def _builder(settings: Settings, memory: Memory, renderer: Renderer) -> DesiredBuilder:
    directory = settings.proxy.certificates
    builder = DesiredBuilder(
        renderer,
        settings.reserved_ports,
        Permission(settings.claims, settings.etcd.endpoints),
        memory.removal_hold.guard,
        CertificateDirectory(Path(directory)) if directory else None,
        raw_keys=bool(settings.templates.directory or settings.outputs),
        contract=settings.templates.contract,
        host_files=HostFiles.of(settings.proxy),
    )
    builder.good_raw = memory.accepted.raw
    if (live := memory.store.live()) is not None:
        there = load(live)
        builder.host_files.remember(there)
        builder.certificates.last = template_context.certificates_in(there) if directory else ()
    return builder
