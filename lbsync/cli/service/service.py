"""`lbsync service ls|show|get|put|edit|rm`: reads and writes the keys of services."""

import argparse
import sys

import msgspec

from lbsync.agent.review import review
from lbsync.cli.context import add_output, service_id, settings_of, source_opened
from lbsync.cli.fleet import health
from lbsync.cli.fleet.wait import add_wait, history_of
from lbsync.cli.service import arguments
from lbsync.cli.service.edit import edit
from lbsync.cli.service.listing import Listing, Row, add_watch, follow
from lbsync.cli.service.show import show_service
from lbsync.cli.service.writing import commit, demand_contract, wait_for, write
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import Source
from lbsync.errors import Exit, Rejected
from lbsync.model.snapshot import Snapshot
from lbsync.schema import service_document as document
from lbsync.settings import Settings
from lbsync.verdict import gravest

_HEAD = ("SERVICE", "MODE", "SERVERS", "HEALTH", "REACHED BY", "PROBLEM")
_EXIT_CODES = """
exit codes: 0 done, or nothing to change; 3 --dry-run shows a change; 4 settings are wrong, or
templates.contract is false; 5 there is no such service, the input is refused, a publisher owns it, or 'service
ls' shows a problem; 6 the source does not answer; 8 somebody else changed the same keys at the same time, and
nothing was written; with --wait also those of 'lbsync wait'.
"""
_EPILOG = f"""\
examples:
  lbsync service ls
  lbsync service ls shop --watch                 live, with their health; in a pipe, a line for each change
  lbsync service show shop/cart
  lbsync service get shop/cart > cart.json
  lbsync service put shop/cart -f cart.json
  lbsync service edit shop/cart
  lbsync service put shop/cart --host cart.example.com --path /api \\
      --server a=10.0.0.7:8080 --server b=10.0.0.8:8080 --check-path /healthz
  lbsync service put shop/cart --group green --server g1=10.0.1.7:8080
  lbsync service rm shop/cart --group blue
  lbsync service rm shop/cart
  lbsync service put shop/cart --server a=10.0.0.9:8080 --wait   wait until every host serves it

'lbsync service put --help' explains all flags.
{_EXIT_CODES}"""
_PUT_EPILOG = """\
The document of -f is JSON or YAML, as 'service get' prints it:
  {"service": {"mode": "http", "hosts": ["cart.example.com"]},
   "endpoints": {"main": {"servers": [{"name": "a", "address": "10.0.0.7", "port": 8080}]}},
   "route": {"groups": {"main": 1}}}
Omitted parts stay unchanged. "endpoints", if given, must name all groups; other groups are removed. The fields
of "service" may also be given at the top level, without "service". With flags, fields that are not named stay
unchanged; --server must name all servers of the group: omitting an existing one is refused without --replace.

Everything is validated first and then written in one transaction; if somebody else changed the same keys at the
same time, nothing is written. The ports that HAProxy itself uses are taken from the settings of this command
([proxy] http_bind, https_bind, stats_bind); if the hosts have other settings, give them with --config or --set.
"""
_EDIT_EPILOG = """\
example:
  EDITOR=nano lbsync service edit shop/cart --wait

The text is the document of 'service put -f', in YAML. Parts that you delete (a group, the route) are removed
from the service. If the text is refused, the editor opens again with the reasons at the top; saving it
unchanged then ends the command without writing. Nothing is written either if somebody else changed a key at the
same time. In both cases the text is kept in a file.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "List, show, write and remove services in the source (etcd, or file:PATH)."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    listing = actions.add_parser("ls", help="list services", description="List services.")
    listing.add_argument("namespace", nargs="?", help="only services of this namespace")
    add_output(listing)
    add_watch(listing)
    listing.set_defaults(action=_list)
    showing = actions.add_parser(
        "show",
        help="show one service and its health on each host",
        description="Show the records of a service, and the health of its servers on each host.",
    )
    showing.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    add_output(showing)
    showing.set_defaults(action=show_service)
    getting = actions.add_parser(
        "get", help="show one service", description="Show one service as a document for put -f."
    )
    getting.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    getting.set_defaults(action=_get)
    putting = actions.add_parser(
        "put",
        help="write one service",
        description="Write one service, from a document or from flags.",
        epilog=_PUT_EPILOG + _EXIT_CODES,
    )
    arguments.configure(putting)
    putting.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    add_wait(putting)
    putting.set_defaults(action=_put)
    editing = actions.add_parser(
        "edit",
        help="change one service in an editor",
        description="Change one service as a text in your editor ($VISUAL, $EDITOR, else vi).",
        epilog=_EDIT_EPILOG + _EXIT_CODES,
    )
    editing.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    editing.add_argument("--force", action="store_true", help="even if a publisher owns it")
    add_wait(editing)
    editing.set_defaults(action=edit, dry_run=False)
    removing = actions.add_parser(
        "rm", help="remove a service", description="Remove a service, or one group of servers."
    )
    removing.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    removing.add_argument("--group", help="only the servers of this group")
    removing.add_argument("--force", action="store_true", help="even if a publisher owns it")
    add_wait(removing)
    removing.set_defaults(action=_remove)


def run(args: argparse.Namespace) -> Exit:
    """Carry out the action."""
    settings = settings_of(args)
    demand_contract(settings)
    with source_opened(settings) as source:
        if getattr(args, "wait", None):
            history_of(source)  # before anything is written
        code: Exit = args.action(args, source)
        return code


def _list(args: argparse.Namespace, source: Source) -> Exit:
    settings, as_json = settings_of(args), args.output == "json"
    known: dict[int, list[document.Summary]] = {}

    def listed(snapshot: Snapshot, asked: health.Asked) -> Listing:
        if snapshot.revision not in known:
            known.clear()
            known[snapshot.revision] = document.summaries(snapshot, args.namespace)
        rows = tuple(
            _row(row, health.of_service(asked, row.service)) for row in known[snapshot.revision]
        )
        return Listing(_HEAD, rows, asked)

    if args.watch:
        follow(settings, source, listed, as_json=as_json)
        return Exit.OK
    snapshot = source.snapshot()
    listing = listed(snapshot, health.ask(settings, source, everything=True))
    listing.show(as_json=as_json)
    if not listing.rows:
        Terminal(sys.stderr).line(_why_none(settings, snapshot, args.namespace))
    wrong = any(row.problems for row in known[snapshot.revision])
    return Exit.REJECTED if wrong else Exit.OK


def _why_none(settings: Settings, snapshot: Snapshot, namespace: str | None) -> str:
    """Say why a list is empty: a slip of the pen looks like a fleet that has lost all its services."""
    there = sorted({row.service.partition("/")[0] for row in document.summaries(snapshot, None)})
    if namespace is not None and there:
        return f"no service is in namespace {namespace}; there are {', '.join(there)}"
    place = settings.source if settings.source.path is not None else f"etcd below {settings.prefix}"
    return f"no service is in {place}"


def _row(found: document.Summary, does: str) -> Row:
    return Row(
        found.service,
        (
            found.service, found.mode, found.servers_by_group, does, found.reached_by,
            "; ".join(found.problems),
        ),
        {**msgspec.structs.asdict(found), "health": does},
        bool(found.problems) or does not in ("", "up"),
    )  # fmt: skip


def _get(args: argparse.Namespace, source: Source) -> Exit:
    stored = document.stored(source.snapshot(), args.service)
    if not stored:
        raise Rejected(f"{args.service}: there is no such service; 'lbsync service ls' shows all")
    Terminal().block(to_json(document.compose(stored, args.service)))
    return Exit.OK


def _put(args: argparse.Namespace, source: Source) -> Exit:
    service = args.service
    snapshot = source.snapshot()
    stored = document.stored(snapshot, service)
    wanted = arguments.wanted(args, service, stored)
    document.refuse_foreign(stored, force=args.force)
    changes = document.changes(stored, wanted, service)
    document.validate(changes)
    review(snapshot, changes, service, settings_of(args))
    touched = {change.key for change in changes}
    wrong = document.refused({key: item for key, item in stored.items() if key not in touched})
    if not changes and wrong:
        raise Rejected(
            f"nothing to write, but what is stored is refused: {'; '.join(wrong)}; "
            f"correct it: 'lbsync service get {service}', then put -f"
        )
    code = write(
        args, source, snapshot, changes, service, action="service put", still_refused=wrong
    )
    return gravest((code, Exit.REJECTED)) if changes and wrong and not args.dry_run else code


def _remove(args: argparse.Namespace, source: Source) -> Exit:
    snapshot = source.snapshot()
    stored = document.stored(snapshot, args.service)
    document.refuse_foreign(stored, force=args.force)
    gone = document.removals(stored, args.service, args.group)
    if not gone:
        what = f"group {args.group}" if args.group else "service"
        raise Rejected(f"{args.service}: there is no such {what}; 'lbsync service ls' shows all")
    revision = commit(source, snapshot, gone, args.service, action="service rm")
    keys = ", ".join(change.key for change in gone)
    Terminal().line(f"{args.service}: removed at revision {revision} ({keys})")
    return wait_for(args, source, revision, {str(args.service)})
