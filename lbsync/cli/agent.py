"""`lbsync agent`: wires settings, source, passes, loop and status together, and runs them."""

import argparse
import contextlib
from pathlib import Path

from lbsync import log
from lbsync.agent.agent import Agent
from lbsync.agent.host_lock import HostLock
from lbsync.agent.privileges import drop_privileges, make_state_dir
from lbsync.agent.report.fleet_reporter import Fleet
from lbsync.agent.report.status import StatusKeeper
from lbsync.agent.watches import Watches
from lbsync.cli.context import settings_of, source_opened
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Source
from lbsync.errors import Exit, LbsyncError, SettingsError
from lbsync.loop import Loop, Notifier, Pace, Report, Waker, memory
from lbsync.schema.keys import FOREIGN
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync agent                                 what the systemd unit runs
  lbsync agent --once                          one pass, for scripts and first tries
  lbsync agent --source file:/srv/shop         without etcd: keys are files

signals: SIGHUP reads settings and templates again (wrong ones are refused, the old ones stay);
SIGTERM and SIGINT finish the running pass, then end. HAProxy serves on.

Run by root, it goes on as the user that owns state_dir, with the rights that the unit gives.

exit codes of --once: 0 was confirmed already, 3 applied a change, 4 settings or templates are wrong,
5 something was refused (the rest is served), 6 source or HAProxy does not answer, 7 HAProxy did not
take it (the last good generation is back), 8 another agent runs on this host, 9 a reload has to wait.
"""
#: How long the first pass waits for the source. Listing takes milliseconds where it answers; where it
#: does not, the last good generation is looked after instead.
_PATIENCE_S = 2.0
#: Settings that are fixed while the agent runs: others depend on what was opened with them.
_FIXED = ("source", "prefix", "host", "state_dir", "etcd")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Keep this host's HAProxy equal to the wanted state: watch, render, validate, apply, "
        "read back."
    )
    parser.epilog = _EPILOG
    parser.add_argument("--once", action="store_true", help="run one pass and say how it ended")


def run(args: argparse.Namespace) -> Exit:
    """Run one pass, or passes until a signal ends them."""
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    state = Path(settings.state_dir)
    make_state_dir(state)
    if user := drop_privileges(state):
        log.get().info(f"runs as {user}, who owns {state}")
    with (
        HostLock(state) as lock,
        source_opened(settings, quiet=FOREIGN) as source,
        contextlib.closing(Agent(settings, source)) as agent,
    ):
        agent.state_files.lock = lock.retake_if_lost
        keeper = StatusKeeper(settings, agent.state_files, source)
        if args.once:
            return _once(agent, keeper)
        _forever(args, settings, agent, source, keeper)
    return Exit.OK


def _once(agent: Agent, keeper: StatusKeeper) -> Exit:
    try:
        outcome = agent.run_pass()
    except LbsyncError as error:
        keeper.note(Report(None, str(error), None, 0.0), agent.result)
        raise
    keeper.note(Report(outcome, outcome.error, None, 0.0), agent.result)
    Terminal().line(outcome.sentence)
    if outcome.error:
        log.get().warning(outcome.error)
    return outcome.exit_code


def _forever(
    args: argparse.Namespace,
    settings: Settings,
    agent: Agent,
    source: Source,
    keeper: StatusKeeper,
) -> None:
    def reload() -> Pace:
        fresh = settings_of(args)
        _refuse_fixed(settings, fresh)
        agent.configure(fresh)
        log.setup(fresh.log.level, fresh.log.format)
        keeper.settings = fresh
        watches.follow(fresh)
        fleet.follow(fresh)
        return Pace.of(fresh.agent)

    def note(report: Report) -> None:
        try:
            keeper.note(report, agent.result)
            if report.outcome is not None and report.outcome.changed:
                memory.give_back()
        finally:
            fleet.note(keeper.status)
            if watches.overlooked():
                loop.reread()

    fleet = Fleet(settings, source)
    waker = Waker()
    loop = Loop(
        agent.run_pass,
        Pace.of(settings.agent),
        waker=waker,
        fast_path=agent.run_fast_path,
        reload=reload,
        on_report=note,
        notifier=Notifier(),
        patience=_PATIENCE_S,
    )
    watches = Watches(
        args.config, wake=loop.wake, reread=loop.reread, reloads=lambda: agent.is_reloading
    )
    keeper.starting()
    memory.tune()
    try:
        watches.follow(settings)
        agent.watch(loop.wake, loop.watchdog_ping)
        fleet.start()
        log.get().info(
            "the agent begins", source=settings.source, host=settings.host, state=settings.state_dir
        )
        loop.run()
        log.get().info("the agent ends; HAProxy serves on")
    finally:
        watches.close()
        fleet.close()
        source.close()
        keeper.ended()


def _refuse_fixed(old: Settings, new: Settings) -> None:
    changed = [name for name in _FIXED if getattr(old, name) != getattr(new, name)]
    if changed:
        raise SettingsError(
            [f"{name}: cannot change while the agent runs; restart it" for name in changed]
        )
