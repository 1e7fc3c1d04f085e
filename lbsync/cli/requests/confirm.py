"""`lbsync confirm`."""

import argparse
import time
from pathlib import Path

from lbsync import status
from lbsync.agent.control import Control
from lbsync.agent.privileges import drop_privileges
from lbsync.cli.context import settings_of
from lbsync.cli.fleet import confirm
from lbsync.cli.requests import request
from lbsync.cli.terminal import Terminal
from lbsync.errors import Conflict, Exit, Unavailable
from lbsync.settings import Duration
from lbsync.status import Status

_EPILOG = """\
examples:
  lbsync status              shows what is held, and its id
  lbsync confirm             allows it
  lbsync confirm 3f2a…       allows it only if it is still exactly that removal
  lbsync confirm --fleet 3f2a…   on all hosts and publishers that hold it; shows what is removed, and asks

A removal of more servers at once than agent.guard_percent is held, because it may be an accident, such as an
emptied store or a faulty publisher. The same removal has the same ID on every host. With --fleet, the
confirmation is written to etcd, where it is valid for an hour.

exit codes: 0 it is removed, or nothing was held; 1 the state directory cannot be written; 4 settings are wrong;
5 with --fleet: the source is not etcd, or the prompt was not confirmed; 6 there is no state directory, the
agent or etcd does not answer, or the removal is still held after the wait; 8 a different removal is held, or
several are and no ID was given; 9 it is confirmed, and the rest is removed with a reload that is deferred.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Allow a held removal of many servers."
    parser.epilog = _EPILOG
    parser.add_argument(
        "hold", nargs="?", metavar="ID", help="the removal (default: the one that is held now)"
    )
    parser.add_argument(
        "--fleet",
        action="store_true",
        help="on all hosts and publishers that hold it, through a key in etcd",
    )
    parser.add_argument(
        "--yes", action="store_true", help="with --fleet: do not ask for confirmation"
    )
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Write the request and wait."""
    settings = settings_of(args)
    if args.fleet:
        return confirm.run(settings, args.hold or "", args.wait, yes=args.yes)
    state = Path(settings.state_dir)
    drop_privileges(state)
    found = status.read(state)
    if request.alive(state) is not None or not found.hold_id:
        found = request.fresh(state, args.wait)
    if not found.hold_id:
        if Control(state).get("held") is not None:
            raise Unavailable(
                "a removal was held before this host was rolled back, and is judged anew when it "
                "follows the source again: 'lbsync rollback --release'"
            )
        Terminal().line("nothing is held on this host")
        return Exit.OK
    if args.hold and not found.hold_id.startswith(args.hold):
        raise Conflict(f"what is held now is {found.hold_id}, not {args.hold}: {found.held}")
    if why := request.missing(state):
        # It names exactly one removal, so it may stand until an agent comes.
        request.make(state, "confirm", found.hold_id)
        then = "one starts" if why == request.NO_AGENT else "it goes on"
        raise Unavailable(f"confirmed, but {why}; it is obeyed when {then}")
    return _ask(state, found, args.wait)


def _ask(state: Path, found: Status, wait: Duration) -> Exit:
    """Confirm what is held, and say what became of it."""
    deadline = time.time() + wait.seconds
    now = request.ask(
        state, "confirm", found.hold_id, lambda now: is_settled(now, found, deadline), wait
    )
    what = found.held.partition(";")[0]
    if now.state == "held":
        Control(state).forget("confirm")
        raise Conflict(f"what is held now is {now.hold_id}, not {found.hold_id}: {now.held}")
    if now.state == "waiting":
        # The request stands until then: the pass that reloads needs it.
        Terminal().line(
            f"confirmed: {what}; what is not gone yet goes with the reload that waits: "
            f"{status.wait_of(now, time.time())}"
        )
        return Exit.UNVERIFIED
    Terminal().line(f"confirmed and done: {what}")
    return Exit.OK


def is_settled(now: Status, found: Status, deadline: float) -> bool:
    """Tell whether nothing more will become of a confirmation before `deadline`, in seconds since 1970."""
    if now.hold_id == found.hold_id:
        return False
    if now.state == "waiting":
        return not 0.0 < now.waits_until < deadline
    return now.state in ("confirmed", "stale", "held")
