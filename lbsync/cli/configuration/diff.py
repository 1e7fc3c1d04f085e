"""`lbsync diff`."""

import argparse
import sys
from pathlib import Path

from lbsync.agent.control import Control
from lbsync.agent.desired.accepted import peek
from lbsync.agent.generations.read import find, load
from lbsync.agent.generations.store import Generation, Store
from lbsync.cli.configuration.plan import make_plan, show_diff, texts, warn_of_problems
from lbsync.cli.context import settings_of, source_opened
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit

_EPILOG = """\
examples:
  lbsync diff                what the agent would change now
  lbsync diff 41             generation 41 compared with the live one
  lbsync diff 41 42          two generations ('lbsync rollback --list' lists them)

The digest in haproxy.cfg is not compared.

exit codes: 3 there is a difference; 5 there is none, but a key is refused or a removal is held; 0 otherwise.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show what would change on this host, or how two generations differ."
    parser.epilog = _EPILOG
    parser.add_argument("one", nargs="?", metavar="GENERATION", help="number or digest")
    parser.add_argument(
        "other", nargs="?", metavar="GENERATION", help="number or digest (default: the live one)"
    )


def run(args: argparse.Namespace) -> Exit:
    settings = settings_of(args)
    state = Path(settings.state_dir)
    store = Store(state, settings.agent.keep_generations)
    live = store.live()
    if args.one:
        old = find(store, args.one)
        new = find(store, args.other) if args.other else live
        after = texts(load(new)) if new else {}
        return _show(texts(load(old)), after, _name(old), _name(new))
    with source_opened(settings) as source:
        snapshot = source.snapshot()
    draining = Control(state).get("drain") is not None
    plan = make_plan(settings, snapshot, peek(state / "accepted.db"), draining=draining)
    warn_of_problems(Terminal(sys.stderr), plan)
    before = texts(load(live)) if live else {}
    code = _show(before, texts(plan.rendered), _name(live), "wanted")
    if code is Exit.OK and (plan.desired.problems or plan.hold):
        return Exit.REJECTED
    return code


def _show(old: dict[str, bytes], new: dict[str, bytes], before: str, after: str) -> Exit:
    count = show_diff(Terminal(), old, new, before, after)
    return Exit.CHANGED if count else Exit.OK


def _name(generation: Generation | None) -> str:
    return generation.name if generation else "nothing"
