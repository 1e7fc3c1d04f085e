"""`lbsync fleet`: changes to the list of hosts."""

import argparse

from lbsync.cli.context import settings_of, source_opened, whoami
from lbsync.cli.fleet.wait import history_of
from lbsync.cli.terminal import Terminal
from lbsync.clients.source import Delete
from lbsync.errors import Conflict, Exit, Rejected
from lbsync.fleet import history
from lbsync.schema import fleet as schema
from lbsync.values.basic import HostName

_EPILOG = """\
examples:
  lbsync status --fleet          shows which hosts are gone
  lbsync fleet forget lb-3       lb-3 was taken down for good: stop waiting for it

A host that has reported once stays in the fleet: until it is forgotten, 'lbsync status --fleet' shows it as
gone and 'lbsync wait' waits for it. A host that reports again joins the fleet again.

exit codes: 0 the host is forgotten; 4 settings are wrong; 5 no such host is known, or the source is not etcd;
6 etcd does not answer; 8 the agent of that host is alive.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Look after the list of hosts that makes the fleet."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    forgetting = actions.add_parser(
        "forget",
        help="forget a host that is gone",
        description="Forget a host that is gone for good, and what else stands below its name.",
    )
    forgetting.add_argument("host", metavar="HOST", type=_host)


def run(args: argparse.Namespace) -> Exit:
    """Remove what keeps the host in the fleet. Raises `Conflict` while its agent is alive."""
    with source_opened(settings_of(args)) as source:
        history_of(source)
        snapshot = source.snapshot()
        if args.host in schema.census(snapshot).live:
            raise Conflict(f"the agent of {args.host} is alive; stop it first")
        name = schema.agent_key(args.host)
        keys = [key for key in snapshot.items if key == name or key.startswith(f"{name}/")]
        if not keys:
            raise Rejected(f"{args.host} is not known to the fleet: see 'lbsync status --fleet'")
        noted = history.entry(source, whoami(), "fleet forget", args.host)
        history.commit(source, [], [Delete(key) for key in keys], noted)
    Terminal().line(f"{args.host} is forgotten")
    return Exit.OK


def _host(text: str) -> str:
    try:
        found = HostName.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not found:
        raise argparse.ArgumentTypeError("it is empty: name a host")
    return found
