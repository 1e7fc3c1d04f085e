"""`lbsync agent`: one pass, or passes until a signal ends them."""

import argparse
import contextlib
import functools
from pathlib import Path

from lbsync import log
from lbsync.agent.agent import Agent
from lbsync.agent.daemon import Daemon
from lbsync.agent.host_lock import HostLock
from lbsync.agent.privileges import drop_privileges, make_state_dir
from lbsync.agent.report.status import StatusReporter
from lbsync.cli.context import settings_of, source_opened
from lbsync.cli.terminal import Terminal
from lbsync.clients.sources import open_source
from lbsync.errors import Exit, LbsyncError
from lbsync.loop import Report
from lbsync.schema.keys import FOREIGN

_EPILOG = """\
examples:
  lbsync agent                                 what the systemd unit runs
  lbsync agent --once                          one pass, for scripts and first trials
  lbsync agent --source file:/srv/shop         without etcd: keys are read from files

signals: SIGHUP reads settings and templates again (if they are wrong, the old ones stay in force);
SIGTERM and SIGINT finish the running pass, then end the agent. HAProxy continues to serve.

When started as root, the agent drops to the user that owns state_dir, with the capabilities from its unit.

exit codes of --once: 0 already confirmed, 3 a change was applied, 4 settings or templates are wrong,
5 something was refused (the rest is served), 6 source or HAProxy does not answer, 7 HAProxy refused
it (the last good generation is restored), 8 another agent runs on this host, 9 a reload is deferred.
"""
#: A predecessor that was killed is gone by then, with all that it started.
_LOCK_WITHIN_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Keep this host's HAProxy in the desired state: watch, render, validate, apply, read back."
    )
    parser.epilog = _EPILOG
    parser.add_argument("--once", action="store_true", help="run one pass and report its result")


def run(args: argparse.Namespace) -> Exit:
    """Run one pass, or passes until a signal ends them."""
    settings = settings_of(args)
    log.setup(settings.log.level, settings.log.format)
    state = Path(settings.state_dir)
    make_state_dir(state)
    if user := drop_privileges(state):
        log.get().info(f"runs as {user}, who owns {state}")
    with (
        HostLock(state, _LOCK_WITHIN_S) as lock,
        source_opened(settings, quiet=FOREIGN) as source,
        contextlib.closing(Agent(settings, source)) as agent,
    ):
        agent.state_files.lock = lock.retake_if_lost
        reporter = StatusReporter(settings, agent.state_files, source)
        if args.once:
            return _once(agent, reporter)
        load = functools.partial(settings_of, args)
        open_answers = functools.partial(open_source, settings, answers=True)
        Daemon(
            agent, source, settings, load,
            open_answers=open_answers, file=args.config, reporter=reporter,
        ).run()  # fmt: skip
    return Exit.OK


def _once(agent: Agent, reporter: StatusReporter) -> Exit:
    try:
        outcome = agent.run_pass()
    except LbsyncError as error:
        reporter.note(Report(None, str(error), None, 0.0), agent.result)
        raise
    reporter.note(Report(outcome, outcome.error, None, 0.0), agent.result)
    Terminal().line(outcome.sentence)
    if outcome.error:
        log.get().warning(outcome.error)
    return outcome.exit_code
