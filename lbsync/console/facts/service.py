"""One service in full: its groups and servers, its policies, and what each balancer reports about it."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from lbsync.console.facts.services import GroupRow, ServiceRow, groups, reached_by
from lbsync.console.facts.state import State
from lbsync.fleet import SERVING
from lbsync.model.desired import Service
from lbsync.model.policies import PREVIEW_HEADER, Preview
from lbsync.model.records import AgentRecord, ServerRecord, ServiceRecord
from lbsync.values.plural import first_few

_MOST_SERVERS = 500
_MOST_ROUTES = 200
_FEW = 20


class ServerView(msgspec.Struct, frozen=True):
    """One server as it is written."""

    name: str
    address: str
    port: int
    weight: int
    state: str
    """What it is meant to be: `up`, `drain` or `maint`."""


class GroupView(msgspec.Struct, frozen=True):
    """One group with its servers."""

    row: GroupRow
    servers: tuple[ServerView, ...]
    """The first 500."""
    more: int


class HostStanding(msgspec.Struct, frozen=True):
    """What one balancer reports about the service."""

    host: str
    degree: str
    """`ok`, `warning`, `critical` or `unknown`."""
    said: str


class ServiceView(msgspec.Struct, frozen=True):
    """One service."""

    row: ServiceRow
    reached_by: tuple[str, ...]
    """The first 200."""
    more: int
    groups: tuple[GroupView, ...]
    policies: dict[str, str]
    """What else is asked for, without any secret: in words."""
    hosts: tuple[HostStanding, ...]
    written_at: int
    """The newest revision among its keys."""


def service_view(state: State, row: ServiceRow) -> ServiceView:
    """Return one service."""
    service = state.services.get(row.service)
    reached = list(reached_by(service)) if service else []
    ends = (f"services/{row.service}", f"routes/{row.service}")
    folder = f"endpoints/{row.service}/"
    written = max(
        (
            item.mod_revision
            for key, item in state.snapshot.items.items()
            if key in ends or key.startswith(folder)
        ),
        default=0,
    )
    return ServiceView(
        row,
        tuple(reached[:_MOST_ROUTES]),
        max(0, len(reached) - _MOST_ROUTES),
        tuple(_groups(service)) if service else (),
        dict(_policies(service.record)) if service else {},
        tuple(_standings(state, row.service, written)),
        written,
    )


def _groups(service: Service) -> Iterator[GroupView]:
    for row, backend in zip(groups(service), service.backends, strict=True):
        more = max(0, len(backend.servers) - _MOST_SERVERS)
        servers = tuple(map(_server, backend.servers[:_MOST_SERVERS]))
        yield GroupView(row, servers, more)


def _server(record: ServerRecord) -> ServerView:
    # Plain texts: what records are made of is of kinds that no encoder knows.
    return ServerView(
        str(record.name), str(record.address), record.port, record.weight, record.state
    )


def _standings(state: State, service: str, written: int) -> Iterator[HostStanding]:
    for host in state.census.gone:
        yield HostStanding(host, "critical", "does not report, and may serve anything it once had")
    for host, record in state.census.live.items():
        yield HostStanding(host, *_standing(state, service, written, host, record))


def _standing(
    state: State, service: str, written: int, host: str, record: AgentRecord | None
) -> tuple[str, str]:
    if record is None:
        return "unknown", "its record cannot be read"
    if service in record.quarantined:
        told = state.quarantined.get(service)
        why = f": {told.reason}" if told is not None else ""
        return "warning", f"quarantined at its last good version{why}"
    if record.hold is not UNSET and service in record.hold.services:
        return "warning", "the removal of servers is held; they are served on"
    if record.state in SERVING and (record.revision >= written or not state.lags.get(host)):
        return "ok", f"served as written, verified at revision {record.revision}"
    why = record.waits or record.error or f"its state is {record.state or 'unknown'}"
    return "warning", f"at revision {record.revision}, before this was written: {why}"


def _policies(record: ServiceRecord) -> Iterator[tuple[str, str]]:
    """Yield what people ask about. No user, no header's value, no key: some of these are secrets."""
    check = record.check
    yield "Balance", record.balance
    every = f"every {check.interval}, up after {check.rise}, down after {check.fall}"
    path = f" {check.method} {check.path}" if check.path is not UNSET else ""
    yield "Check", "none" if check.kind == "none" else f"{check.kind}{path}, {every}"
    if record.mode == "tcp":
        yield "Port", str(record.listen)
    if record.sticky is not UNSET:
        yield "Sticky", f"cookie {record.sticky.cookie}"
    if record.maxconn is not UNSET:
        yield "Connections", f"at most {record.maxconn} to each server from each balancer"
    if record.redirect.https is not UNSET:
        yield "Plain HTTP", "redirected to https" if record.redirect.https else "served"
    yield from _access(record)
    if record.backend_tls is not UNSET:
        yield "To servers", f"TLS, certificate {record.backend_tls.verify}"
    for name, text in (("Owner", record.owner), ("Written by", record.source)):
        if text is not UNSET:
            yield name, str(text)


def preview_said(preview: Preview) -> str:
    """Return which clients may request a group by name, and how."""
    networks = first_few(preview.networks, _FEW)
    hosts = "".join(f"; {host} leads to {group}" for group, host in preview.hosts.items())
    return f"of any group, by header {PREVIEW_HEADER}, for {networks}{hosts}"


def _access(record: ServiceRecord) -> Iterator[tuple[str, str]]:
    if record.auth is not UNSET:
        yield "Password", "required"
    for name, networks in (("Allowed", record.allow), ("Denied", record.deny)):
        if networks:
            yield name, first_few(networks, _FEW)
    if record.preview is not UNSET:
        yield "Preview", preview_said(record.preview)
    if record.rate_limit is not UNSET:
        yield "Rate", "limited for each client"
