"""`lbsync route`: the shares of a service's groups."""

import argparse

from lbsync.agent.review import review
from lbsync.cli.context import service_id, settings_of, source_opened
from lbsync.cli.fleet.wait import add_wait, history_of
from lbsync.cli.service.writing import write
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected
from lbsync.schema import service_document as document

_EPILOG = """\
examples:
  lbsync route shop/cart                    show the current split
  lbsync route shop/cart green=100          send all traffic to green
  lbsync route shop/cart blue=95 green=5    a split; groups that are not named get no traffic
  lbsync route shop/cart green=100 --wait   wait until every host has verified it

exit codes: 0 written, or nothing to change; 3 --dry-run shows a change; 5 there is no such service or group, or
a publisher owns it; 6 the source does not answer; 8 somebody else changed the route at the same time, and
nothing was written; with --wait also those of 'lbsync wait'.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show or change how a service's traffic is split over its groups."
    parser.epilog = _EPILOG
    parser.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    parser.add_argument(
        "shares", nargs="*", metavar="GROUP=WEIGHT", type=_share, help="0 to 256 each"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the change, write nothing")
    parser.add_argument("--force", action="store_true", help="even if a publisher owns it")
    add_wait(parser)


def _share(text: str) -> tuple[str, int]:
    group, equals, weight = text.partition("=")
    if not equals or not group or not weight.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write GROUP=WEIGHT, as in green=100")
    return group, int(weight)


def run(args: argparse.Namespace) -> Exit:
    """Show the route, or write it."""
    settings = settings_of(args)
    with source_opened(settings) as source:
        if args.wait:
            history_of(source)  # before anything is written
        snapshot = source.snapshot()
        stored = document.stored(snapshot, args.service)
        if not stored:
            raise Rejected(
                f"{args.service}: there is no such service; 'lbsync service ls' shows all"
            )
        now = document.compose(stored, args.service)
        groups = set(now.get("endpoints", {}))
        if not args.shares:
            _show_now(Terminal(), now, groups)
            return Exit.OK
        document.refuse_foreign(stored, force=args.force)
        shares = dict(args.shares)
        unknown = sorted(shares.keys() - groups)
        if unknown:
            raise Rejected(
                f"{args.service}: it has no group {unknown[0]!r}; there are {', '.join(sorted(groups)) or 'none'}"
            )
        route = now.get("route")
        wanted = {**(route if isinstance(route, dict) else {}), "groups": shares}
        changes = document.changes(stored, {"route": wanted}, args.service)
        document.validate(changes)
        review(snapshot, changes, args.service, settings)
        return write(args, source, snapshot, changes, args.service, action="route")


def _show_now(terminal: Terminal, now: document.Document, groups: set[str]) -> None:
    """Write each group's weight; without a route all that have servers take part alike."""
    route = now.get("route")
    shares = route.get("groups") if isinstance(route, dict) else None
    shares = shares if isinstance(shares, dict) else dict.fromkeys(groups, 1)
    terminal.table(
        ("GROUP", "WEIGHT"),
        ((group, str(shares.get(group, 0))) for group in sorted(groups | shares.keys())),
    )
