"""`lbsync undrain`."""

import argparse
from pathlib import Path

from lbsync.agent.control import Control
from lbsync.cli.context import invoker, settings_of
from lbsync.cli.fleet.orders import add_fleet, order, refuse_fleet_words
from lbsync.cli.requests import drain, request
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "End a drain: the health path answers 200 again."
    parser.epilog = (
        f"examples:\n  lbsync undrain\n  lbsync undrain --fleet --hosts lb-1\n{drain.EXIT_CODES}"
    )
    add_fleet(parser)
    request.add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Withdraw the request and see to it that it is obeyed."""
    settings = settings_of(args)
    if args.fleet:
        return order(settings, "undrain", args)
    refuse_fleet_words(args)
    drain.become(settings)
    if not Control(Path(settings.state_dir)).withdraw("drain", invoker()):
        Terminal().line("this host was not drained")
        return Exit.OK
    how = drain.await_drain(settings, args.wait)
    Terminal().line(f"undrained{how}: the health path answers 200 again")
    return Exit.OK
