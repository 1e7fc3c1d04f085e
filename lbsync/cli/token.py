"""`lbsync token`: tokens for the console, with their rights and namespaces."""

import argparse
from pathlib import Path

from lbsync.agent.privileges import drop_privileges, make_state_dir
from lbsync.cli.context import add_output, settings_of
from lbsync.cli.terminal import Terminal, to_json
from lbsync.console.paths import tokens_path
from lbsync.console.security.tokens import RIGHTS, Tokens
from lbsync.errors import Exit
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync token add ann --right admin                   prints a token, once
  lbsync token add ci --right deploy --namespace shop  for the pipeline of one team
  lbsync token ls
  lbsync token rm ann

rights, each includes those before it: 'read' only views; 'deploy' deploys apps, and switches, pauses, cancels
and rolls them back; 'admin' also drains balancers, rolls them back and confirms held removals. A token with
namespaces neither shows nor changes anything outside of them; changes to balancers need a token without
namespaces.

The file contains only hashes, except for signing tokens. The console reads it again when it changes; see
docs/console.md.

exit codes: 0 done; 1 the file cannot be written; 4 settings are wrong; 5 the name is taken, unknown or not
valid, or the file cannot be read.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make, list and remove the tokens of the console."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    adding = actions.add_parser("add", help="make a token and print it, once",
                              description="Make a token and print it; only its hash is stored.")  # fmt: skip
    adding.add_argument(
        "name", metavar="NAME", help="the owner; recorded with every change made with the token"
    )
    adding.add_argument(
        "--right", choices=RIGHTS, default="read", help="what it allows (default: read)"
    )
    adding.add_argument(
        "--namespace", action="append", default=[], metavar="NS", dest="namespaces",
        help="limit the token to this namespace; may be repeated (default: no limit)",
    )  # fmt: skip
    adding.add_argument(
        "--signs", action="store_true",
        help="use it to sign requests to /hooks/ (GitHub's 'secret'); it is stored in plain text",
    )  # fmt: skip
    adding.set_defaults(action=_add)
    listing = actions.add_parser("ls", help="list tokens", description="List tokens.")
    add_output(listing)
    listing.set_defaults(action=_list)
    removing = actions.add_parser("rm", help="remove a token; it loses all access at once",
                                description="Remove a token; its logins end at once.")  # fmt: skip
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(action=_remove)


def run(args: argparse.Namespace) -> Exit:
    code: Exit = args.action(args, _tokens(settings_of(args)))
    return code


def _tokens(settings: Settings) -> Tokens:
    """Return the tokens of the settings, to be changed as the user whose file it is."""
    state_dir = Path(settings.state_dir)
    if settings.console.tokens_file is None:
        make_state_dir(state_dir)
        drop_privileges(state_dir)
    return Tokens(tokens_path(settings))


def _add(args: argparse.Namespace, tokens: Tokens) -> Exit:
    Terminal().line(tokens.add(args.name, args.right, args.namespaces, signs=args.signs))
    return Exit.OK


def _list(args: argparse.Namespace, tokens: Tokens) -> Exit:
    known = tokens.load()
    if args.output == "json":
        Terminal().block(
            to_json(
                [
                    {"name": t.name, "right": t.right, "namespaces": t.namespaces, "created_at": t.created_at}
                    for t in known
                ]
            )
        )  # fmt: skip
        return Exit.OK
    rows = ((t.name, t.right, ",".join(t.namespaces) or "all", t.created_at) for t in known)
    Terminal().table(("NAME", "RIGHT", "NAMESPACES", "MADE"), rows)
    return Exit.OK


def _remove(args: argparse.Namespace, tokens: Tokens) -> Exit:
    tokens.remove(args.name)
    Terminal().line(f"token {args.name} is removed")
    return Exit.OK
