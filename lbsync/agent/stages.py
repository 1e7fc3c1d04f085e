"""The stages of a pass, built from the settings; new settings replace all stages, or none."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from lbsync.agent.apply.converge import Converger
from lbsync.agent.apply.reload_limiter import Limits, ReloadLimiter
from lbsync.agent.apply.switch import Switcher
from lbsync.agent.candidate.candidates import CandidateBuilder
from lbsync.agent.candidate.occupied_ports import OccupiedPorts
from lbsync.agent.control import Control
from lbsync.agent.desired import template_context
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.host_files import HostFiles
from lbsync.agent.fast_path import FastPath
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.agent.generations.read import load
from lbsync.agent.generations.store import Store
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.outputs import Outputs
from lbsync.agent.removal_hold import RemovalHold
from lbsync.agent.render.renderer import Renderer
from lbsync.agent.runtime.deltas import service_delta
from lbsync.agent.runtime.runtime import HaproxyRuntime
from lbsync.agent.state_files import StateFiles
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy.options import from_settings
from lbsync.model.permission import Permission
from lbsync.settings import Settings


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


def _builder(settings: Settings, memory: Memory, renderer: Renderer) -> DesiredBuilder:
    directory = settings.proxy.certificates
    builder = DesiredBuilder(
        renderer,
        settings.reserved_ports,
        Permission(settings.claims),
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
