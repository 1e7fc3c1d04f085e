"""`lbsync drain`."""

import argparse
from pathlib import Path

from lbsync.cli import request
from lbsync.cli.context import settings_of
from lbsync.errors import Exit

_EPILOG = """\
examples:
  lbsync drain --reason "kernel update"
  lbsync drain && sleep 60 && reboot
  lbsync undrain

The health path (setting proxy.health_path) then answers 503, so the load balancer in front sends no new
clients; everybody who comes all the same is served as before. It lasts over restarts, until 'undrain'.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.description = (
        "Take this host out of the load balancer in front, without dropping anybody."
    )
    parser.epilog = _EPILOG
    parser.add_argument("--reason", default="by hand", help="shown by 'lbsync status'")
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Write the request and wait."""
    state = Path(settings_of(args).state_dir)
    request.become_owner(state)
    request.make(state, "drain", args.reason)
    return request.wait_for(
        state,
        lambda now: now.draining == args.reason and now.state in {"confirmed", "held", "stale"},
        args.wait,
        "drained: the health path answers 503 since now; everything else is served",
    )
