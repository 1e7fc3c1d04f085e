"""`lbsync apply`: writes many keys from documents, after showing the plan."""

import argparse
from collections import Counter
from collections.abc import Sequence

from lbsync.agent.review import refusals
from lbsync.cli.context import settings_of, source_opened
from lbsync.cli.documents.stepwise import write_all
from lbsync.cli.fleet.wait import add_wait, history_of
from lbsync.cli.progress import Progress
from lbsync.cli.service.writing import demand_contract, show, wait_for
from lbsync.cli.terminal import Terminal, may_ask, said_yes
from lbsync.clients.files import input_documents
from lbsync.errors import Exit, ManyRejected, Rejected
from lbsync.schema.applying import Plan, plan, service_of
from lbsync.schema.service_document import Change
from lbsync.values.names import is_name
from lbsync.values.plural import count

_EPILOG = """\
examples:
  lbsync apply -f services/ --dry-run                    show what would change
  lbsync apply -f services/ --tree shop --prune --yes    in a pipeline; removes keys that left the tree
  lbsync export shop | ssh other lbsync apply -f -
  lbsync apply -f shop.yaml --wait                       wait until every host has verified it

A document maps keys to their values (docs/etcd-contract.md), in YAML or JSON:
  services/shop/cart: {mode: http, hosts: [cart.example.com]}
  endpoints/shop/cart/main: {servers: [{name: a, address: 10.0.0.7, port: 8080}]}
A file in a directory is such a document, or the value of the key that its path names, as services/shop/cart.yaml.
Keys that no document names stay unchanged.

--tree NAME writes tree/NAME into the field `source` of each key, so that the key belongs to that tree and other
commands do not change it. --prune removes the keys of that tree that no document names any more, and no other
keys.

Everything is validated first, and all errors are reported together. The plan is shown as a diff. On a terminal,
the command asks for confirmation; otherwise a plan that removes keys needs --yes. The plan is written in one
transaction if etcd accepts that many keys at once; otherwise it is written service by service, additions first
and removals last, so that every host serves correctly in between. If it was interrupted, run it again: it
continues with what is missing.

exit codes: 0 done, or nothing to change; 3 --dry-run shows a change; 4 settings are wrong, or
templates.contract is false; 5 something is refused, or was not confirmed, and nothing was written; 6 the source
does not answer, or does not let this user write; 8 somebody else changed a key at the same time; after 6 and 8,
the output says what was written; with --wait also those of 'lbsync wait'.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write keys from documents into the source."
    parser.epilog = _EPILOG
    parser.add_argument(
        "-f", "--file", required=True, metavar="DIR|FILE", help="documents; - reads stdin"
    )
    parser.add_argument(
        "--tree", type=_tree, metavar="NAME", help="name of the tree that these documents form"
    )
    parser.add_argument(
        "--prune", action="store_true", help="remove keys of that tree that no document names"
    )
    parser.add_argument("--dry-run", action="store_true", help="validate and show, write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--force", action="store_true", help="also change keys of publishers and of other trees"
    )
    add_wait(parser)


def run(args: argparse.Namespace) -> Exit:
    """Read, judge, show, ask, write. Raises `Rejected` with everything that is wrong."""
    settings = settings_of(args)
    demand_contract(settings)
    if args.prune and not args.tree:
        raise Rejected("--prune: say whose keys may go with --tree NAME")
    found = input_documents.read(args.file)
    if not found.values and not found.problems:
        raise Rejected(f"{args.file}: there is no document, so there is nothing to apply")
    terminal, progress = Terminal(), Progress()
    with source_opened(settings) as source:
        if args.wait:
            history_of(source)  # before anything is written
        snapshot = source.snapshot()
        progress.say(f"{count(len(found.values), 'key')} read")
        planned = plan(
            snapshot, found.values, found.places,
            tree=args.tree or "", prune=args.prune, force=args.force,
        )  # fmt: skip
        services = {
            str(service) for change in planned.changes if (service := service_of(change.key))
        }
        progress.say(f"{count(len(planned.changes), 'change')}, judged beside all that is stored")
        problems = [
            *found.problems,
            *planned.problems,
            *(
                f"{found.places.get(problem.key, args.file)}: {problem.key}: {problem.reason}"
                for problem in (
                    refusals(snapshot, planned.changes, services, settings) if services else ()
                )
            ),
        ]
        progress.over()
        if problems:
            raise ManyRejected("nothing was written", problems)
        show(terminal, planned.changes)
        terminal.line(_summary(planned, len(services)))
        if not planned.changes:
            return wait_for(args, source, snapshot.revision, services)
        if args.dry_run:
            terminal.line("nothing was written, because of --dry-run")
            return Exit.CHANGED
        if not args.yes:
            _make_sure(planned.changes)
        terminal.flush()  # the plan first, whatever comes of it
        revision = write_all(source, snapshot, planned.changes, what=args.file)
        terminal.line(f"written, at revision {revision}")
        return wait_for(args, source, revision, services)


def _summary(planned: Plan, services: int) -> str:
    kinds = Counter(
        "removed" if change.after is None else "changed" if change.before else "new"
        for change in planned.changes
    )
    said = [f"{kinds[kind]} {kind}" for kind in ("new", "changed", "removed") if kinds[kind]]
    if not said:
        return f"unchanged: {count(planned.unchanged, 'key')}"
    of = f" of {count(services, 'service')}" if services else ""
    return f"{count(len(planned.changes), 'key')}{of}: {', '.join(said)}; {planned.unchanged} unchanged"


def _make_sure(changes: Sequence[Change]) -> None:
    """Ask, at a terminal; elsewhere refuse what removes keys. Raises `Rejected`."""
    gone = sum(change.after is None for change in changes)
    so = f", {gone} of them removed" if gone else ""
    if may_ask():
        if not said_yes(f"write {count(len(changes), 'key')}{so}?"):
            raise Rejected("nothing was written")
    elif gone:
        raise Rejected(
            f"nothing was written, as {count(gone, 'key')} would be removed; --yes if that plan is meant"
        )


def _tree(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: write lower-case letters, digits, - and ., at most 63"
        )
    return text
