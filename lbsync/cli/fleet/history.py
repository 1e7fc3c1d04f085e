"""`lbsync history`: who did what, when, and from where."""

import argparse

from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.terminal import Terminal, to_json
from lbsync.errors import Exit
from lbsync.fleet.history import MOST
from lbsync.schema.orders import HISTORY, history
from lbsync.timestamps import minute, seconds

_EPILOG = f"""\
examples:
  lbsync history
  lbsync history shop/cart            only what names this service, server or host
  lbsync history --last 100 --output json

What people do with 'service put|edit|rm', 'apply', 'server drain|maint|up|weight', 'drain|undrain|release|confirm
--fleet' and 'fleet forget' is noted in etcd, in the same write as the change: the last {MOST}. What they have one host
do ('drain', 'undrain', 'release', 'rollback', 'confirm') its agent notes. What publishers write is not. By whom is
what the command was told by its environment, and no proof: for that, give people users of etcd.

exit codes: 0 it was shown; 4 settings are wrong; 5 the source is not etcd; 6 etcd does not answer.
"""
_LAST = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Tell who did what, when, and from where; the newest last."
    parser.epilog = _EPILOG
    parser.add_argument("about", nargs="?", metavar="TEXT", help="only entries that name this")
    parser.add_argument(
        "--last", type=int, default=_LAST, metavar="N", help=f"how many (default: {_LAST})"
    )
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """Show it."""
    with source_opened(settings_of(args)) as source:
        history_of(source)
        found = history(source.below(HISTORY))
    if args.about:
        found = [each for each in found if args.about in f"{each.what} {each.detail} {each.host}"]
    found = found[-max(args.last, 0) :] if args.last > 0 else []
    if args.output == "json":
        Terminal().block(to_json(found))
        return Exit.OK
    Terminal().table(
        ("WHEN", "BY", "DID", "WHAT", "DETAIL"),
        [
            (
                minute(seconds(each.at)), each.by, each.action,
                f"{each.what} on {each.host}" if each.host else each.what, each.detail,
            )
            for each in found
        ],
    )  # fmt: skip
    return Exit.OK
