"""`lbsync etcd-roles`: the permissions that each component needs in etcd, as etcdctl commands."""

import argparse

from lbsync.cli.context import settings_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected
from lbsync.schema import roles
from lbsync.values.basic import Name

_EPILOG = f"""\
roles:
{chr(10).join(f"  {name:<11}{text}" for name, text in roles.DESCRIPTIONS.items())}

examples:
  lbsync etcd-roles agent operator
  lbsync etcd-roles publisher --name prod | sh
  etcdctl user add lb && etcdctl user grant-role lb lbsync-agent

This command only prints, for the prefix in the settings; it does not connect to etcd. The roles take effect
once etcd's authentication is enabled ('etcdctl auth enable'). docs/security.md explains what each role can do.

exit codes: 0 printed; 5 a role needs --name, or the name is not valid.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the commands of etcdctl that make roles with the least rights."
    parser.epilog = _EPILOG
    parser.add_argument("roles", nargs="+", metavar="ROLE", choices=sorted(roles.DESCRIPTIONS))
    parser.add_argument(
        "--name", default="", help="the host for role `host`, or the cluster for role `publisher`"
    )


def run(args: argparse.Namespace) -> Exit:
    """Print them."""
    prefix = str(settings_of(args).prefix)
    name = _name(args.name) if args.name else ""
    terminal = Terminal()
    for role in args.roles:
        if role in roles.NAMED and not name:
            raise Rejected(f"{role} is a role of one alone: say whose with --name")
        for line in roles.commands(role, prefix, name if role in roles.NAMED else ""):
            terminal.line(line)
    return Exit.OK


def _name(text: str) -> str:
    try:
        return str(Name.parse(text))
    except ValueError as error:
        raise Rejected(f"--name: {error}") from error
