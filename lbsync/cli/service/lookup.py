"""`lbsync lookup`: which service answers a URL."""

import argparse

import msgspec

from lbsync.cli.context import add_output, settings_of, source_opened
from lbsync.cli.terminal import Terminal, to_json
from lbsync.console.facts.lookup import lookup_view
from lbsync.console.facts.services import ServiceIndex
from lbsync.console.facts.state import StateBuilder
from lbsync.errors import Exit, Rejected

_EPILOG = """\
examples:
  lbsync lookup https://cart.example.com/api/items
  lbsync lookup cart.example.com/api
  lbsync lookup tcp://:5432

The answer is computed from the keys in the source, by the rules of HAProxy's maps. 'lbsync status --fleet'
shows which hosts already serve them.

exit codes: 0 a service answers it; 5 no service answers it, or it is not a URL; 6 the source does not answer.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show which service answers a URL, and which of its hosts and paths matches."
    )
    parser.epilog = _EPILOG
    parser.add_argument("url", metavar="URL")
    add_output(parser)


def run(args: argparse.Namespace) -> Exit:
    """Look it up in one snapshot."""
    settings = settings_of(args)
    with source_opened(settings) as source:
        state = StateBuilder(settings.reserved_ports).build(source.snapshot())
    view = lookup_view(ServiceIndex(state), args.url)
    if view.is_error:
        raise Rejected(view.sentence)
    if args.output == "json":
        facts = msgspec.structs.asdict(view)
        Terminal().block(
            to_json({name: facts[name] for name in ("url", "service", "route", "sentence")})
        )
    else:
        Terminal().line(view.sentence)
    return Exit.OK if view.service else Exit.REJECTED
