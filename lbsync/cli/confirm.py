"""`lbsync confirm`."""

import argparse
from pathlib import Path

from lbsync import status
from lbsync.cli import request
from lbsync.cli.context import settings_of
from lbsync.cli.identity import become_owner
from lbsync.cli.terminal import Terminal
from lbsync.errors import Conflict, Exit

_EPILOG = """\
examples:
  lbsync status              shows what is held, and its id
  lbsync confirm             lets it go through
  lbsync confirm 3f2a…       only if it still is exactly that removal

A removal of more servers at once than agent.guard_percent is held, because it may be an accident: an
emptied store, a publisher gone wrong. Confirm it on each host that holds it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.description = "Let a held removal of many servers go through."
    parser.epilog = _EPILOG
    parser.add_argument(
        "hold", nargs="?", metavar="ID", help="which one (default: what is held now)"
    )
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Write the request and wait."""
    state = Path(settings_of(args).state_dir)
    found = status.read(state)
    if not found.hold_id:
        Terminal().line("nothing is held on this host")
        return Exit.OK
    if args.hold and not found.hold_id.startswith(args.hold):
        raise Conflict(f"what is held now is {found.hold_id}, not {args.hold}: {found.held}")
    become_owner(state)
    request.ask(
        state,
        "confirm",
        found.hold_id,
        lambda now: now.hold_id != found.hold_id and now.state == "confirmed",
        args.wait,
    )
    Terminal().line(f"confirmed and done: {found.held.partition(';')[0]}")
    return Exit.OK
