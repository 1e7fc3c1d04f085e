"""`lbsync release`."""

import argparse
from pathlib import Path

from lbsync import status
from lbsync.agent.control import Control
from lbsync.agent.privileges import drop_privileges
from lbsync.cli.context import settings_of
from lbsync.cli.fleet.orders import add_fleet, order, refuse_fleet_words
from lbsync.cli.requests import request
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit
from lbsync.status import PROVED, Status

_EPILOG = """\
examples:
  lbsync status      shows what was set by hand
  lbsync release     restores what the source says
  lbsync release --fleet --hosts lb-1

A drain, maintenance state or weight that somebody set on the running HAProxy is kept, even across
reloads, until it is released or the server's key changes.

exit codes: 0 nothing is set by hand any more; 1 the state directory cannot be written; 4 settings are wrong; 6
there is no state directory, no agent runs, or it did not confirm in time: the request is withdrawn; with
--fleet: 5 the prompt was not confirmed, or the source is not etcd; 6 etcd does not answer; 9 not every host has
done it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Undo what was set by hand on the running HAProxy of this host."
    parser.epilog = _EPILOG
    add_fleet(parser)
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Write the request and wait."""
    settings = settings_of(args)
    if args.fleet:
        return order(settings, "release", args)
    refuse_fleet_words(args)
    state = Path(settings.state_dir)
    drop_privileges(state)
    found = status.read(state)
    # Also where nothing is known to be held: it may have been set since HAProxy was last read back.
    request.ask(state, "release", "all", lambda now: _is_done(state, now), args.wait)
    if found.by_hand:
        Terminal().line(f"released: {'; '.join(found.by_hand)}")
    else:
        Terminal().line("nothing is held by hand on this host")
    return Exit.OK


def _is_done(state: Path, now: Status) -> bool:
    """Tell whether a pass has obeyed, which withdraws the request, and has found nothing left."""
    is_obeyed = Control(state).get("release") is None
    return is_obeyed and not now.by_hand and now.state in PROVED
