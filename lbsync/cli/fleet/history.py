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
  lbsync history shop/cart            only entries that name this service, server or host
  lbsync history --last 100 --output json

The history holds the last {MOST} entries. The commands 'service put|edit|rm', 'apply', 'server
drain|maint|up|weight', 'drain|undrain|release|confirm --fleet' and 'fleet forget' record an entry in etcd in
the same transaction as the change. For commands on a single host ('drain', 'undrain', 'release', 'rollback',
'confirm'), the agent records it. Changes by publishers are not recorded. The user name comes from the command's
environment and is not proof of identity: for that, give each person a user in etcd.

exit codes: 0 success; 4 settings are wrong; 5 the source is not etcd; 6 etcd does not answer.
"""
_LAST = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show who did what, when, and from where; the newest entry is last."
    parser.epilog = _EPILOG
    parser.add_argument(
        "about", nargs="?", metavar="TEXT", help="only entries that contain this name"
    )
    parser.add_argument(
        "--last", type=int, default=_LAST, metavar="N", help=f"number of entries (default: {_LAST})"
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
