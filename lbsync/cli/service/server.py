"""`lbsync server ls|drain|maint|up|weight`: changes a single server of a service."""

import argparse
from collections.abc import Mapping
from typing import Any

import msgspec

from lbsync.cli.context import add_output, service_id, settings_of, source_opened
from lbsync.cli.fleet import health
from lbsync.cli.fleet.wait import add_wait, history_of
from lbsync.cli.service import listing
from lbsync.cli.service.listing import Listing, add_watch, follow
from lbsync.cli.service.writing import write
from lbsync.clients.haproxy import sockets
from lbsync.clients.haproxy.answers import ServerState, parse_servers
from lbsync.clients.haproxy.options import from_settings
from lbsync.clients.source import Source
from lbsync.errors import Exit, Rejected, Unavailable
from lbsync.model.health import ServerHealth
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import service_document as document
from lbsync.schema.keys import ServiceId, backend_name, endpoints_key
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync server ls shop/cart
  lbsync server ls shop/cart --watch        live; in a pipe, a line for each change
  lbsync server drain shop/cart/a           no new clients; those with its cookie stay
  lbsync server maint shop/cart/a           no requests at all, and no health checks
  lbsync server weight shop/cart/a 0
  lbsync server up shop/cart/a
  lbsync server drain shop/cart/a --wait    wait until every host has verified it

HEALTH shows what the agents of all hosts report; SESSIONS, REQUESTS and 5XX are sums over all hosts. If no
agent answers, HAPROXY HERE shows the state in this host's HAProxy.

The state is written to the source and applies to every host; all other servers stay unchanged.

exit codes: 0 written, or nothing to change; 4 settings are wrong; 5 there is no such server, the value is
refused, or a publisher owns it; 6 the source does not answer; 8 somebody else changed the key at the same time,
and nothing was written; with --wait also those of 'lbsync wait'.
"""
_WEIGHT = """\
Change a server's share of the requests of its group: its weight divided by the sum of all weights in the group.
With weight 0 the server gets no new clients; clients that have its cookie stay.
"""
_VERBS = {
    "drain": "finish existing sessions, and accept no new clients",
    "maint": "send no requests",
    "up": "send requests again",
}
_OPERATIONAL = {0: "DOWN", 1: "STARTING", 2: "UP", 3: "NOLB"}
"""`srv_op_state` (management guide, 9.3, "show servers state"); the last one as `show stat` says it: a server that
waits for its first good check."""
_RETRY_S = 0.2
"""Short: where no HAProxy is, as on a workstation, nobody waits for one."""
_MAINT, _DRAIN = 0b1100111, 0b0011000
"""Bits of `srv_admin_state` there."""


class Server(msgspec.Struct, frozen=True):
    """One server as it is written, and as HAProxy on this host sees it."""

    server: str
    group: str
    address: str
    state: str
    weight: int
    haproxy: str
    """As the HAProxy of this host has it; empty if none here knows it."""
    health: dict[str, ServerHealth]
    """As each host answers whose agent does."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the servers of a service, or change a single one."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    listed = actions.add_parser("ls", help="list servers", description="List servers.")
    listed.add_argument("service", metavar="NAMESPACE/NAME", type=service_id)
    add_output(listed)
    add_watch(listed)
    listed.set_defaults(action=_list)
    for verb, text in _VERBS.items():
        _add_change(actions.add_parser(verb, help=text, description=f"{verb}: {text}."), verb)
    weighing = actions.add_parser(
        "weight", help="change its share of the requests", description=_WEIGHT
    )
    _add_change(weighing, "weight")
    weighing.add_argument("weight", metavar="WEIGHT", type=int, help="0 to 256; 1 is the default")


def _add_change(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("server", metavar="NAMESPACE/NAME/SERVER", type=_server_id)
    parser.add_argument("--group", help="where several groups have a server of this name")
    parser.add_argument("--force", action="store_true", help="even if a publisher owns it")
    add_wait(parser)
    parser.set_defaults(action=_change, verb=verb, dry_run=False)


def run(args: argparse.Namespace) -> Exit:
    """Carry out the action."""
    settings = settings_of(args)
    with source_opened(settings) as source:
        if getattr(args, "wait", None):
            history_of(source)  # before anything is written
        code: Exit = args.action(args, source)
        return code


def _server_id(text: str) -> tuple[ServiceId, str]:
    service, _, name = text.rpartition("/")
    if not service or not name:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write NAMESPACE/NAME/SERVER, as in shop/cart/a"
        )
    return service_id(service), name


def _list(args: argparse.Namespace, source: Source) -> Exit:
    settings, as_json = settings_of(args), args.output == "json"
    snapshot = source.snapshot()
    _endpoints(snapshot, args.service)

    def listed(now: Snapshot, asked: health.Asked) -> Listing:
        return _listing(args.service, _endpoints(now, args.service), _seen(settings), asked)

    if args.watch:
        follow(settings, source, listed, str(args.service), as_json=as_json)
    else:
        listed(snapshot, health.ask(settings, source, str(args.service))).show(as_json=as_json)
    return Exit.OK


def _listing(
    service: ServiceId,
    stored: Mapping[str, Mapping[str, Any]],
    seen: Mapping[tuple[str, str], ServerState],
    asked: health.Asked,
) -> Listing:
    """Return the table. `seen`: what HAProxy on this host runs."""
    told_by_hosts = bool(asked.answers.hosts)
    last = ("SESSIONS", "REQUESTS", "5XX", "HEALTH") if told_by_hosts else ("HAPROXY HERE",)
    rows = []
    for group, value in stored.items():
        for server in document.servers_of(value):
            name = str(server.get("name"))
            found = seen.get((backend_name(service, group), name))
            row = Server(
                name,
                group,
                f"{server.get('address')}:{server.get('port')}",
                str(server.get("state", "up")),
                server.get("weight", 1),
                _words(found) if found else "",
                health.of_server(asked, str(service), group, name),
            )
            does = health.words(row.health)
            rows.append(
                listing.Row(
                    f"{group}/{name}",
                    (
                        *(row.server, row.group, row.address, row.state, str(row.weight)),
                        *((*_figures(row), does) if told_by_hosts else (row.haproxy,)),
                    ),
                    row,
                    told_by_hosts and does != "UP",
                )
            )
    return Listing(("SERVER", "GROUP", "ADDRESS", "STATE", "WEIGHT", *last), tuple(rows), asked)


def _figures(row: Server) -> tuple[str, str, str]:
    """Return the sums over all hosts."""
    told = row.health.values()
    return (
        str(sum(server.sessions for server in told)),
        str(sum(server.requests for server in told)),
        str(sum(server.errors_5xx for server in told)),
    )


def _change(args: argparse.Namespace, source: Source) -> Exit:
    service, name = args.server
    snapshot = source.snapshot()
    group, value = _group_of(_endpoints(snapshot, service), service, name, args.group)
    key = endpoints_key(service, group)
    stored = {key: snapshot.items[key]}
    document.refuse_foreign(stored, force=args.force)
    change = {"weight": args.weight} if args.verb == "weight" else {"state": args.verb}
    servers = [
        {**server, **change} if server.get("name") == name else server
        for server in document.servers_of(value)
    ]
    changes = document.changes_of(stored, {key: {**value, "servers": servers}})
    document.validate(changes)
    told = f"server {name} of group {group}" + (f": {args.weight}" if "weight" in change else "")
    action, named = f"server {args.verb}", f"{service}/{name}"
    return write(args, source, snapshot, changes, service, action=action, detail=told, name=named)


def _endpoints(snapshot: Snapshot, service: ServiceId) -> dict[str, dict[str, Any]]:
    """Return the stored groups of a service. Raises `Rejected` when there are none."""
    stored: Mapping[str, Item] = document.stored(snapshot, service)
    groups: dict[str, Any] = document.compose(stored, service).get("endpoints", {})
    if not groups:
        raise Rejected(f"{service}: it has no servers; 'lbsync service ls' shows all services")
    return groups


def _group_of(
    groups: Mapping[str, dict[str, Any]], service: ServiceId, name: str, wanted: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the one group that has this server. Raises `Rejected`."""
    having = {
        group: value
        for group, value in groups.items()
        if wanted in (None, group)
        and name in {server.get("name") for server in document.servers_of(value)}
    }
    if not having:
        place = f"group {wanted}" if wanted else "no group"
        known = sorted(
            {
                str(one.get("name"))
                for value in groups.values()
                for one in document.servers_of(value)
            }
        )
        raise Rejected(
            f"{service}: {place} has {'no' if wanted else 'a'} server {name!r}; "
            f"there are {', '.join(known) or 'none'}"
        )
    if len(having) > 1:
        raise Rejected(
            f"{service}: the groups {', '.join(having)} have a server {name!r}; say --group"
        )
    return having.popitem()


def _seen(settings: Settings) -> dict[tuple[str, str], ServerState]:
    """Return what HAProxy on this host runs; nothing where none answers."""
    try:
        worker = sockets.worker(from_settings(settings))
        said = worker.ask("show servers state", retry_s=_RETRY_S, may_be_empty=False)
        found = parse_servers(said)
    except Unavailable:
        return {}
    return {(state.backend, state.name): state for state in found}


def _words(state: ServerState) -> str:
    admin = " maint" if state.admin_state & _MAINT else ""
    admin += " drain" if state.admin_state & _DRAIN else ""
    return f"{_OPERATIONAL.get(state.op_state, '?')}{admin}, weight {state.weight}"
