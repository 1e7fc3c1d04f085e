"""`lbsync console`: the page of the fleet, and the tokens for it."""

import argparse
import functools
from pathlib import Path

from lbsync import log
from lbsync.agent.privileges import drop_privileges, make_state_dir
from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.terminal import Terminal, to_json
from lbsync.console.paths import tokens_path
from lbsync.console.security.tokens import RIGHTS, Tokens
from lbsync.errors import Exit, SettingsError
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync console                                 what the systemd unit runs: http://127.0.0.1:8480/
  lbsync console token add ann --right operate   prints a token, once
  lbsync console token ls
  lbsync console token rm ann

Reads etcd and shows every balancer, service and publisher, live. Without a token only this host itself is
served, and may only look; with the right 'operate' one may also act. TLS, names, addresses: [console] in the
settings, explained in docs/console.md.

signals: SIGHUP reads the certificate again; SIGTERM and SIGINT end it.

exit codes: 0 ended by a signal, or done; 1 the address is taken, or a file cannot be written; 4 settings are
wrong, there is no token though others are served, or Litestar is not installed; 5 the token is known or not
known already, or the source is not etcd.
"""
_MISSING = (
    "lbsync console needs Litestar and uvicorn, which are not installed here: "
    "install lbsync with its extra, as in pip install 'lbsync[console]'"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve the page of the fleet."
    parser.epilog = _EPILOG
    parser.set_defaults(action=_serve)
    actions = parser.add_subparsers(metavar="ACTION", parser_class=type(parser))
    token = actions.add_parser("token", help="make, list and remove tokens",
                               description="Make, list and remove tokens.")  # fmt: skip
    deeds = token.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    adding = deeds.add_parser("add", help="make a token and print it, once",
                              description="Make a token; its hash alone is kept.")  # fmt: skip
    adding.add_argument("name", metavar="NAME", help="whose it is; shown where something was done")
    adding.add_argument(
        "--right", choices=RIGHTS, default="read", help="what it allows (default: read)"
    )
    adding.set_defaults(action=_add)
    listing = deeds.add_parser("ls", help="list tokens", description="List tokens.")
    add_output(listing)
    listing.set_defaults(action=_list)
    removing = deeds.add_parser("rm", help="remove a token: it opens nothing from now on",
                                description="Remove a token; its logins end at once.")  # fmt: skip
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(action=_remove)


def run(args: argparse.Namespace) -> Exit:
    settings = settings_of(args)
    code: Exit = args.action(args, settings)
    return code


def _serve(args: argparse.Namespace, settings: Settings) -> Exit:
    log.setup(settings.log.level, settings.log.format)
    try:
        from lbsync.console import daemon  # noqa: PLC0415 - half a second, and an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lbsync":
            raise
        raise SettingsError([_MISSING]) from error
    _become(settings)
    with source_opened(settings) as source:
        daemon.run(settings, functools.partial(settings_of, args), source)
    return Exit.OK


def _tokens(settings: Settings) -> Tokens:
    if settings.console.tokens_file is None:
        make_state_dir(Path(settings.state_dir))
        _become(settings)
    return Tokens(tokens_path(settings))


def _become(settings: Settings) -> None:
    """As root, go on as lbsync's user, where there is a state directory that tells which that is."""
    if Path(settings.state_dir).is_dir():
        drop_privileges(Path(settings.state_dir))


def _add(args: argparse.Namespace, settings: Settings) -> Exit:
    token = _tokens(settings).add(args.name, args.right)
    Terminal().line(token)
    return Exit.OK


def _list(args: argparse.Namespace, settings: Settings) -> Exit:
    tokens = _tokens(settings).load()
    rows = [{"name": t.name, "right": t.right, "created_at": t.created_at} for t in tokens]
    if args.output == "json":
        Terminal().block(to_json(rows))
        return Exit.OK
    Terminal().table(("NAME", "RIGHT", "MADE"), (tuple(row.values()) for row in rows))
    return Exit.OK


def _remove(args: argparse.Namespace, settings: Settings) -> Exit:
    _tokens(settings).remove(args.name)
    Terminal().line(f"token {args.name} is removed")
    return Exit.OK
