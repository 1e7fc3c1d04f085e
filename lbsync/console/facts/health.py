"""The health of one service's servers, combined from all balancers that answer."""

from collections.abc import Iterable, Mapping

import msgspec

from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth

_FEW = 5
_MEANT = ("DRAIN", "MAINT")
"""States that a server has because somebody wants it."""


class ServerState(msgspec.Struct, frozen=True):
    """One server over all balancers that answer."""

    up_on: int
    """On how many balancers it gets requests, as far as their checks say."""
    seen_on: int
    not_up: tuple[str, ...]
    """On which it is not up, and what its check met; the first five. Not where somebody took it out."""
    sessions: int
    errors_5xx: int
    """Answers of 500 and above since the workers began."""
    response_ms: int
    """The slowest mean."""


class GroupState(msgspec.Struct, frozen=True):
    """One group over all balancers that answer."""

    servers: dict[str, ServerState]
    rate: int
    """Requests (tcp: connections) in the last second."""
    sessions: int
    old_sessions: int
    """How many of these are in workers that were replaced."""
    queue: int
    errors_5xx: int
    response_ms: int


class HealthView(msgspec.Struct, frozen=True):
    """One service."""

    groups: dict[str, GroupState]
    answered: tuple[str, ...]
    silent: tuple[str, ...]
    """Balancers that report, and have not answered."""
    errors: dict[str, str]
    """Balancer to why it cannot tell."""


def health_view(
    service: str, live: Iterable[str], answers: Mapping[str, HealthRecord | None]
) -> HealthView:
    """Put together what is answered about a service. `live`: the balancers that report."""
    told: dict[str, dict[str, GroupHealth]] = {}
    errors: dict[str, str] = {}
    for host, record in answers.items():
        if record is None:
            errors[host] = "its answer cannot be read; is its lbsync of another age?"
        elif record.error:
            errors[host] = record.error
        elif service in record.services:
            told[host] = record.services[service]
    names = sorted({group for groups in told.values() for group in groups})
    return HealthView(
        {
            name: _group({host: groups[name] for host, groups in told.items() if name in groups})
            for name in names
        },
        tuple(sorted(told)),
        tuple(sorted(set(live) - told.keys() - errors.keys())),
        dict(sorted(errors.items())),
    )


def _group(by_host: Mapping[str, GroupHealth]) -> GroupState:
    servers: dict[str, dict[str, ServerHealth]] = {}
    for host, group in by_host.items():
        for server in group.servers:
            servers.setdefault(server.name, {})[host] = server
    groups = by_host.values()
    return GroupState(
        {name: _server(seen) for name, seen in sorted(servers.items())},
        sum(group.rate for group in groups),
        sum(group.sessions for group in groups),
        sum(group.old_sessions for group in groups),
        sum(group.queue for group in groups),
        sum(group.errors_5xx for group in groups),
        max((group.response_ms for group in groups), default=0),
    )


def _server(by_host: Mapping[str, ServerHealth]) -> ServerState:
    down = {
        host: server
        for host, server in sorted(by_host.items())
        if not is_up(server) and not server.status.startswith(_MEANT)
    }
    return ServerState(
        sum(map(is_up, by_host.values())),
        len(by_host),
        tuple(f"{host}: {said(server)}" for host, server in list(down.items())[:_FEW]),
        sum(server.sessions for server in by_host.values()),
        sum(server.errors_5xx for server in by_host.values()),
        max((server.response_ms for server in by_host.values()), default=0),
    )


def is_up(server: ServerHealth) -> bool:
    """Tell whether a server gets new requests there."""
    return server.status.startswith("UP") or server.status == "no check"


def said(server: ServerHealth) -> str:
    """Return the state of a server in a few words."""
    check = f" {server.code}" if server.code else ""
    met = ", ".join(filter(None, (f"{server.check}{check}".strip(), server.said)))
    return f"{server.status} ({met})" if met else server.status
