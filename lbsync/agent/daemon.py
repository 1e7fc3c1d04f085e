"""The agent as a service: its loop, what wakes it, and what is reported after each pass."""

import time
from collections.abc import Callable
from pathlib import Path

from lbsync import gelf, log, measure
from lbsync.agent.agent import Agent
from lbsync.agent.report.fleet_reporter import FleetReporter
from lbsync.agent.report.health_reporter import HealthReporter
from lbsync.agent.report.pages import pages
from lbsync.agent.report.status import StatusReporter
from lbsync.agent.unfinished import UnfinishedPass
from lbsync.agent.watches import Watches
from lbsync.clients.source import Source
from lbsync.errors import SettingsError
from lbsync.http import HttpServer
from lbsync.loop import Loop, Notifier, Outcome, Pace, Report, Waker, memory
from lbsync.schema.health import WATCHERS
from lbsync.settings import Settings

#: How long the first pass waits for the source. Listing takes milliseconds where it answers; where it
#: does not, the last good generation is looked after instead.
_PATIENCE_S = 2.0
#: Settings that are fixed while the agent runs: others depend on what was opened with them.
_FIXED = ("source", "prefix", "host", "state_dir", "etcd")


class Daemon:
    """Runs passes, and takes new settings over between two of them."""

    def __init__(
        self,
        agent: Agent,
        source: Source,
        settings: Settings,
        load: Callable[[], Settings],
        *,
        open_answers: Callable[[], Source],
        file: Path | None,
        reporter: StatusReporter,
    ) -> None:
        """`settings`: those that agent and source were made with. `load` returns them as they stand now.
        `open_answers` opens the store of answers to watchers.
        `file`: the settings file that was named, if any."""
        self._agent = agent
        self._source = source
        self._settings = settings
        self._load = load
        self._status_reporter = reporter
        self._fleet = FleetReporter(settings, source)
        agent.control.on_action = self._fleet.actions.note
        self._health = HealthReporter(settings, source, open_answers)
        self._loop = Loop(
            self._pass,
            Pace.of(settings.agent),
            waker=Waker(),
            fast_path=self._change_at_once,
            is_awaited=self._fleet.current.is_awaited,
            reload=self._reload,
            on_report=self._note,
            notifier=Notifier(),
            patience=_PATIENCE_S,
        )
        source.listen(WATCHERS, self._asked)
        self._changed_at_once = self._pass_changed = False
        self._is_ahead = False
        self._http = HttpServer(pages(reporter, lambda: self._loop.silence), "[agent] http_bind")
        self._watches = Watches(
            file,
            wake=self._loop.wake,
            reread=self._loop.reread,
            reloads=lambda: agent.is_reloading,
        )

    def run(self) -> None:
        """Run passes until a signal ends them. Raises `LbsyncError`."""
        chosen = self._settings
        self._status_reporter.starting()
        memory.tune()
        measure.tell(self._status_reporter.metrics.observe)
        gelf.follow(chosen.log, str(chosen.host))
        try:
            self._http.follow(chosen.agent.http_bind)
            self._watches.follow(chosen)
            self._agent.watch(self._loop.wake, self._loop.watchdog_ping)
            self._fleet.start()
            self._health.start()
            log.get().info(
                "the agent begins", source=chosen.source, host=chosen.host, state=chosen.state_dir
            )
            self._loop.run()
            log.get().info("the agent ends; HAProxy serves on")
        finally:
            self._watches.close()
            self._health.close()
            self._http.close()
            self._fleet.close()
            self._source.close()
            self._status_reporter.ended()
            gelf.end()

    def _reload(self) -> Pace:
        fresh = self._load()
        _refuse_fixed(self._settings, fresh)
        self._agent.configure(fresh)
        gelf.follow(fresh.log, str(fresh.host))
        self._status_reporter.settings = fresh
        self._http.follow(fresh.agent.http_bind)
        self._watches.follow(fresh)
        self._fleet.follow(fresh)
        self._health.follow(fresh)
        return Pace.of(fresh.agent)

    def _pass(self) -> Outcome | UnfinishedPass:
        self._is_ahead = False
        self._pass_changed, self._changed_at_once = self._changed_at_once, False
        return self._agent.begin_pass()

    def _change_at_once(self) -> bool:
        before = self._agent.steps
        done = self._agent.run_fast_path()
        if self._agent.steps > before:
            self._changed_at_once = True
            self._measure("runtime")
        self._is_ahead = done
        self._prove_ahead()
        return done

    def _prove_ahead(self) -> None:
        """Read back what was changed at once, if somebody waits for it; for nobody, the pass will do it."""
        if self._is_ahead and self._fleet.current.is_awaited():
            self._fleet.note_ahead(self._agent.proved_ahead())

    def _asked(self) -> None:
        """Read back what was made ahead of a pass that has yet to begin, if somebody asks for it only now."""
        if self._is_ahead and self._fleet.current.is_awaited():
            self._loop.wake()

    def _measure(self, by: measure.How) -> None:
        if (since := self._loop.unanswered_since) is not None:
            measure.observe("change_served", by, time.monotonic() - since)

    def _measure_pass(self, report: Report) -> None:
        applied, changed_at_once = self._agent.result.applied, self._pass_changed
        if report.outcome is None or applied is None:
            return
        if not (report.outcome.confirmed and report.outcome.changed):
            return
        if applied.reload is not None:
            self._measure("reload")
        elif applied.steps and not changed_at_once:
            self._measure("runtime")

    def _note(self, report: Report) -> None:
        self._measure_pass(report)
        self._status_reporter.unanswered = self._http.trouble
        try:
            self._status_reporter.note(report, self._agent.result)
            if report.outcome is not None and report.outcome.changed:
                memory.give_back()
        finally:
            self._fleet.note(self._status_reporter.status)
            self._prove_ahead()  # what changed while the pass had to wait
            if self._watches.overlooked():
                self._loop.reread()


def _refuse_fixed(old: Settings, new: Settings) -> None:
    changed = [name for name in _FIXED if getattr(old, name) != getattr(new, name)]
    if changed:
        raise SettingsError(
            [f"{name}: cannot change while the agent runs; restart it" for name in changed]
        )
