"""Carrying out a deployment in a command, or following the process that does, phase by phase."""

import argparse
import re
import sys
import time

from lbsync.cli.deploy.deploy_context import DeployContext
from lbsync.cli.terminal import Terminal
from lbsync.deployer.engine import carry_out
from lbsync.deployer.ledger import Hold
from lbsync.deployer.run import Run
from lbsync.errors import Exit
from lbsync.model.deploying import DeploymentRecord, EventRecord, Phase
from lbsync.schema.keys import ServiceId

CODES: dict[Phase, Exit] = {
    "deployed": Exit.OK,
    "failed": Exit.DEPLOYMENT_FAILED,
    "rolled back": Exit.ROLLED_BACK,
    "cancelled": Exit.CANCELLED,
    "removed": Exit.OK,
}
EXIT_CODES = "0 deployed; 10 it failed before it received traffic; 11 rolled back; 12 cancelled"
_QUIET_S = 3.0
"""So long nothing is said of what is waited for, where there is no screen."""


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add `--wait`, for commands after which a deployment goes on."""
    parser.add_argument(
        "--wait", action="store_true",
        help="carry out the deployment here, unless another process does, and show its phases until it ends",
    )  # fmt: skip


def follow(
    context: DeployContext, app: ServiceId, deployment: str, hold: Hold | None = None
) -> Exit:
    """Carry a deployment out until it has ended; return the code for its end. `hold`: where this process has it.

    Raises `LbsyncError`; at Ctrl-C it says how the deployment stands.
    """
    context.start()
    run = Run(context.tools, app, deployment, hold)
    screen = _Screen(context, app, deployment)
    try:
        carry_out(run, context.news, lambda: screen.show(run), lambda: False)
    except KeyboardInterrupt:
        screen.interrupted(run)
        raise
    finally:
        run.end()
    record = run.record
    if record is None:
        return Exit.FAILED
    screen.ended(record)
    return CODES[record.phase]


class _Screen:
    """A line for each event; at a terminal, below them, a line with a bar and what is waited for."""

    def __init__(self, context: DeployContext, app: ServiceId, deployment: str) -> None:
        self._context, self._app, self._id = context, app, deployment
        self._terminal = Terminal()
        self._shown = 0
        self._waits = ""
        self._since = time.monotonic()

    def show(self, run: Run) -> None:
        record = run.record
        if record is None:
            return
        if record.events > self._shown:
            events = self._context.ledger.events(self._app, self._id)
            self._terminal.over("")
            for event in events[self._shown :]:
                self._terminal.line(event_line(event))
            self._shown = max(self._shown, len(events))
            self._since = time.monotonic()
        waits = run.waits or record.waits
        if run.holder:
            waits = f"carried out by {run.holder}; {record.waits}"
        if self._terminal.is_screen:
            self._terminal.over(f"{_bar(record)} {record.phase}: {waits}")
        elif _kind(waits) != self._waits and time.monotonic() - self._since >= _QUIET_S:
            self._waits, self._since = _kind(waits), time.monotonic()
            self._terminal.line(f"{'':8}  {record.phase:<12}waits: {waits}")
        sys.stdout.flush()

    def ended(self, record: DeploymentRecord) -> None:
        self._terminal.over("")
        for notice in record.notices:
            self._terminal.line(f"to be known: {notice}")
        reason = f": {record.reason}" if record.reason else ""
        self._terminal.line(f"{self._app}: deployment {self._id} is {record.phase}{reason}")

    def interrupted(self, run: Run) -> None:
        phase = run.record.phase if run.record else "not begun"
        self._terminal.over("")
        Terminal(sys.stderr).line(
            f"{self._app}: deployment {self._id} is {phase}, and stands there unless 'lbsync console' goes on; "
            f"here: 'lbsync deploy resume {self._app} --wait' or 'lbsync deploy cancel {self._app} --wait'"
        )


def event_line(event: EventRecord) -> str:
    """Return one event for people."""
    by = f" ({event.by})" if event.by else ""
    return f"{event.at[11:19]}  {event.phase:<12}{event.text}{by}"


def _bar(record: DeploymentRecord) -> str:
    way = record.way
    done = way.index(record.phase) if record.phase in way else 0
    return f"[{'#' * done}{'.' * (len(way) - 1 - done)}]"


def _kind(waits: str) -> str:
    """Return what is awaited without its numbers: a new count of requests is nothing new."""
    return re.sub(r"\d+", "", waits)
