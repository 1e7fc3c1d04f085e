"""`lbsync service show`: the records of one service, and its health on each host."""

import argparse
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from lbsync.cli.context import settings_of
from lbsync.cli.fleet import health
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import Source
from lbsync.console.facts.service import preview_said
from lbsync.errors import BadKey, Exit, Rejected
from lbsync.model.health import GroupHealth
from lbsync.model.records import QuarantineRecord, ServiceRecord
from lbsync.model.snapshot import Item
from lbsync.schema import fleet
from lbsync.schema import service_document as document
from lbsync.schema.decode import decode_as
from lbsync.schema.keys import service_key
from lbsync.schema.reading import one_line
from lbsync.schema.service_document import Summary


def show_service(args: argparse.Namespace, source: Source) -> Exit:
    """Write it, for people or as JSON. Raises `Rejected` for a service that is not written."""
    service = str(args.service)
    snapshot = source.snapshot()
    rows = [row for row in document.summaries(snapshot, args.service.ns) if row.service == service]
    if not rows:
        raise Rejected(f"{service}: there is no such service; 'lbsync service ls' shows all")
    row = rows[0]
    items = document.stored(snapshot, args.service)
    stored = document.compose(items, args.service)
    refused = fleet.quarantines(snapshot.items).get(service)
    asked = health.ask(settings_of(args), source, service)
    code = Exit.REJECTED if row.problems or refused else Exit.OK
    hosts = {host: record.services.get(service) for host, record in asked.answers.hosts.items()}
    if args.output == "json":
        facts = {
            **msgspec.structs.asdict(row),
            "document": stored,
            "quarantine": refused,
            "hosts": hosts,
        }
        Terminal().block(to_json(facts))
        return code
    _write(row, stored, refused, _preview(items.get(service_key(args.service))))
    _write_hosts(hosts)
    health.tell(asked)
    return code


def _write(
    row: Summary,
    stored: Mapping[str, Any],
    refused: QuarantineRecord | None,
    preview: list[tuple[str, str]],
) -> None:
    """Write what is stored of a service, and what is wrong with it."""
    route = stored.get("route")
    shares = route.get("groups") if isinstance(route, dict) else None
    split = ", ".join(f"{group} {share}" for group, share in (shares or {}).items())
    rows = [
        ("service", f"{row.service} ({row.mode})"),
        ("reached by", row.reached_by),
        ("servers", row.servers_by_group),
        ("traffic", split or "every group that has servers, alike"),
        *preview,
        *(("problem", problem) for problem in row.problems),
    ]
    if refused:
        rows.append(("quarantined", f"{one_line(refused.reason)} (says {refused.host})"))
    terminal = Terminal()
    for name, text in rows:
        terminal.line(f"{terminal.paint(f'{name:<13}', 'dim')}{text}")


def _preview(item: Item | None) -> list[tuple[str, str]]:
    """Return who may see a group before it has traffic, as far as that can be read."""
    try:
        record = decode_as(ServiceRecord, item.key, item.value) if item else None
    except BadKey:
        return []  # told as a problem
    if record is None or record.preview is UNSET:
        return []
    return [("preview", preview_said(record.preview))]


def _write_hosts(hosts: Mapping[str, Mapping[str, GroupHealth] | None]) -> None:
    """Write how the servers do on each host."""
    terminal = Terminal()
    for host, groups in sorted(hosts.items()):
        terminal.line()
        terminal.line(terminal.paint(host, "bold"))
        if not groups:
            terminal.line("  HAProxy has no backend of it")
        for group, told in (groups or {}).items():
            terminal.line(f"  {group}: {health.figures(told)}")
            terminal.table(
                ("    SERVER", "STATE", "FOR", "SESSIONS", "REQUESTS", "5XX"),
                [
                    (
                        f"    {server.name}", health.state(server), health.since(server),
                        str(server.sessions), str(server.requests), str(server.errors_5xx),
                    )
                    for server in told.servers
                ],
            )  # fmt: skip
