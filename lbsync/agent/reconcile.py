"""One pass, from a snapshot to a HAProxy that is proved to serve it. The order of stages is here.

A pass may run at any time, and twice: it compares what is wanted with what is, and does what is
missing. Whatever fails, HAProxy goes on with the last good generation.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lbsync import log
from lbsync.agent import inputs, report
from lbsync.agent.accepted import Accepted
from lbsync.agent.apply import Applied, Applier
from lbsync.agent.control import Control
from lbsync.agent.generations import Generation, Store
from lbsync.agent.guard import Hold
from lbsync.agent.install import install
from lbsync.agent.sections import Parser
from lbsync.agent.served import Served, load, main_text
from lbsync.agent.settle import Plan, Settler
from lbsync.agent.trial import Found, Question, Trial
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.haproxy.options import from_settings
from lbsync.clients.source import Source
from lbsync.errors import Rejected, Unavailable
from lbsync.loop.outcome import Outcome
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings


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
        self._served: Served | None = None
        self._hold: Hold | None = None
        self._hold_since = 0.0
        self._watching = False
        self._ready: Found | None = None
        self._went_ahead = False
        self.last: Plan | None = None
        """The plan of the last pass that had one: what was found wrong is in there."""
        self.applied: Applied | None = None
        """What the last pass applied or proved."""
        self.configure(settings)
        self._store.sweep()
        if self._accepted.lost:
            log.get().warning(self._accepted.lost)

    def configure(self, settings: Settings) -> None:
        """Take over settings and templates; raises `TemplateError`, having changed nothing.

        `source`, `prefix` and `state_dir` stay those the agent was started with.
        """
        renderer = inputs.make_renderer(settings)
        directory = settings.proxy.certificates
        self._settings = settings
        options = from_settings(settings)
        self._applier = Applier(options, self._store)
        settler = Settler(
            renderer,
            settings.proxy.reserved_ports,
            settings.agent.guard_percent,
            CertificateDirectory(Path(directory)) if directory else None,
            raw_keys=bool(settings.templates.directory or settings.outputs),
        )
        self._trial = Trial(self._store, settler, self._parser, options)
        self._trial.forget(self._ready)
        self._ready = None

    def watch(self, wake: Callable[[], None]) -> None:
        """Begin to follow the source; `wake` is called from another thread after each change."""
        self._watching = True
        self._source.start(wake)

    def run_pass(self) -> Outcome:
        """Bring HAProxy to what is wanted, or say why not. Raises `LbsyncError`."""
        began = time.monotonic()
        ready, self._ready, self._went_ahead = self._ready, None, False
        pin = self._control.get("rollback")
        if pin is not None:
            self._trial.forget(ready)
            return report.pinned(self._serve(self._chosen(pin.value)), pin.since)
        try:
            snapshot = self._source.snapshot()
        except Unavailable as error:
            self._trial.forget(ready)
            live = self._store.live()
            if live is None:
                raise
            # What `lbsync prepare` left for HAProxy's first start was never what anybody wanted.
            wanted_once = live.meta.confirmed_at is not None
            return report.without_source(self._serve(live), error, wanted_once)
        found = self._trial.find(self._question(snapshot), self._served, ready)
        self._note_hold(found.plan.hold)
        before = self._accepted.entries
        applied = self._bring(found)
        installed = install(self._settings.outputs, found.plan.outside)
        if applied.outcome == "confirmed":
            self._accepted.replace(found.plan.entries)
            self._served = Served(applied.generation, found.plan.rendered, found.config)
            self._store.prune()
            if found.plan.hold is None:
                self._control.forget("confirm")
        self.last, self.applied = found.plan, applied
        seconds = time.monotonic() - began
        return self._stale(report.outcome(found.plan, applied, installed, before, seconds))

    def ahead(self) -> None:
        """Find what can go live while changes may still be coming in; the pass applies it.

        Once between two passes: in a burst, what is found ahead is soon not wanted any more.
        """
        if self._went_ahead or self._served is None or self._control.get("rollback"):
            return
        self._went_ahead = True
        self._ready = self._trial.find(self._question(self._source.snapshot()), self._served)

    def _question(self, snapshot: Snapshot) -> Question:
        draining = self._control.get("drain") is not None
        return Question(snapshot, self._accepted.entries, draining, self._let_go)

    def _bring(self, found: Found) -> Applied:
        """Apply what was staged; with nothing staged, prove that the live generation is served."""
        rendered, config = found.plan.rendered, found.config
        if found.staged is not None:
            return self._applier.apply(found.staged, rendered, config)
        live = self._store.live()
        assert live is not None
        return self._applier.confirm(live, rendered, config) or self._applier.apply(
            live, rendered, config
        )

    def _serve(self, wanted: Generation) -> Applied:
        """See to it that HAProxy serves a generation that is on disk."""
        rendered = load(wanted)
        config = self._parser.parse(main_text(rendered))
        live = self._store.live()
        applied = None
        if live is not None and live.name == wanted.name:
            applied = self._applier.confirm(wanted, rendered, config)
        applied = applied or self._applier.apply(wanted, rendered, config)
        if applied.outcome == "confirmed":
            self._served = Served(applied.generation, rendered, config)
        self.applied = applied
        return applied

    def _chosen(self, digest: str) -> Generation:
        wanted = self._store.by_digest(digest)
        if wanted is None:
            raise Rejected(
                f"rolled back to {digest}, but there is no such generation any more; "
                "`lbsync rollback --release` follows the source again"
            )
        return wanted

    def _let_go(self, hold: Hold) -> bool:
        """Tell whether a removal was confirmed, or has waited for as long as the settings say."""
        request = self._control.get("confirm")
        if request is not None and request.value == hold.id:
            return True
        release = self._settings.agent.guard_release
        if release is None or self._hold is None:
            return False
        return time.time() - self._hold_since >= release.seconds

    def _note_hold(self, hold: Hold | None) -> None:
        if hold is not None and self._hold is None:
            self._hold_since = time.time()
        self._hold = hold

    def _stale(self, outcome: Outcome) -> Outcome:
        """Add that what is served may be old, while the source does not answer."""
        if not self._watching or outcome.error:
            return outcome
        health = self._source.health()
        if health.ok:
            return outcome
        return msgspec.structs.replace(outcome, error=f"what is served may be old: {health.detail}")
