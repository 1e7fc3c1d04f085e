"""`lbsync undrain`."""

import argparse
from pathlib import Path

from lbsync.agent.control import Control
from lbsync.cli.context import invoker, settings_of
from lbsync.cli.requests import drain, request
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "End a drain: the health path answers 200 again."
    parser.epilog = f"example:\n  lbsync undrain\n{drain.EXIT_CODES}"
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Withdraw the request and see to it that it is obeyed."""
    settings = settings_of(args)
    drain.become(settings)
    if not Control(Path(settings.state_dir)).withdraw("drain", invoker()):
        Terminal().line("this host was not drained")
        return Exit.OK
    how = drain.see_to_it(settings, args.wait)
    Terminal().line(f"undrained{how}: the health path answers 200 again")
    return Exit.OK
