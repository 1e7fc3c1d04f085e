"""`lbsync undrain`."""

import argparse
from pathlib import Path

from lbsync.agent.control import Control
from lbsync.cli import request
from lbsync.cli.context import settings_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.description = "End a drain: the health path answers 200 again."
    parser.epilog = "example:\n  lbsync undrain\n"
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Withdraw the request and wait."""
    state = Path(settings_of(args).state_dir)
    request.become_owner(state)
    if not Control(state).clear("drain"):
        Terminal().line("this host was not drained")
        return Exit.OK
    return request.wait_for(
        state,
        lambda now: not now.draining and now.state in {"confirmed", "held", "stale"},
        args.wait,
        "undrained: the health path answers 200 again",
    )
