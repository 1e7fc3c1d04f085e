"""Who owns which host, path and port: the service that was created first.

Pure. A claim that an older service owns is refused by name; the rest of that service is served.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UnsetType

from lbsync.model.desired import Problem
from lbsync.model.records import ServiceRecord
from lbsync.model.routes import claims_of
from lbsync.schema.keys import ServiceId, service_key


class Claimant(msgspec.Struct, frozen=True, gc=False):
    """One service and what it asks for."""

    created: int
    """Revision that created its key; the lower one wins, then the lower name."""
    service: ServiceId
    record: ServiceRecord


class Grant(msgspec.Struct, frozen=True, gc=False):
    """Those of its claims that a service was given."""

    routes: tuple[str, ...] = ()
    """Keys of the route map: `host/path/`, the path in its plain spelling."""
    wildcards: tuple[str, ...] = ()
    """Suffixes of its `*.` hosts."""


def grant(
    claimants: Iterable[Claimant], reserved_ports: frozenset[int]
) -> tuple[dict[ServiceId, Grant], list[Problem], bool]:
    """Return what each service gets, sorted by name; the refused claims; and whether any service claims
    the `www` twin of a host, which it gets only while no other names that host.

    A tcp service whose port is taken gets nothing and is left out.
    """
    order = sorted(claimants, key=lambda c: (c.created, c.service.ns, c.service.name))
    problems: list[Problem] = []
    owners: dict[str, ServiceId] = {}
    ports: dict[int, ServiceId] = {}
    twins: list[tuple[ServiceId, str]] = []
    routes: dict[ServiceId, list[str]] = {}
    for claimant in order:
        service, record = claimant.service, claimant.record
        if not isinstance(record.listen, UnsetType):
            refusal = _take_port(service, record.listen, ports, reserved_ports)
            if refusal is None:
                routes[service] = []
            else:
                problems.append(refusal)
            continue
        mine = routes[service] = []
        for key, explicit in claims_of(record):
            if not explicit:
                twins.append((service, key))
            elif owners.setdefault(key, service) == service:
                mine.append(key)
            else:
                problems.append(_conflict(service, key, owners[key]))
    for service, key in twins:
        if owners.setdefault(key, service) == service:
            routes[service].append(key)
    names = sorted(routes, key=lambda service: (service.ns, service.name))
    grants = {name: Grant(tuple(routes[name]), _wildcards(routes[name])) for name in names}
    return grants, problems, bool(twins)


def explicit(record: ServiceRecord) -> tuple[str, ...] | None:
    """Return the route keys that a service names itself; None if it claims `www` twins as well."""
    claims = list(claims_of(record))
    return tuple(key for key, _ in claims) if all(named for _, named in claims) else None


def granted(routes: tuple[str, ...]) -> Grant:
    """Return the grant of these route keys."""
    return Grant(routes, _wildcards(list(routes)))


def asks_for(record: ServiceRecord) -> object:
    """Return the part of a record that decides its claims; equal values claim the same."""
    hosts = record.hosts, tuple(record.preview_hosts)
    return record.mode, hosts, record.paths, record.listen, bool(record.redirect.www)


def _take_port(
    service: ServiceId,
    port: int,
    ports: dict[int, ServiceId],
    reserved: frozenset[int],
) -> Problem | None:
    rival = ""
    if port in reserved:
        reason = f"listen: port {port} is one of HAProxy's own on these hosts; choose another"
    elif ports.setdefault(port, service) != service:
        rival = str(ports[port])
        reason = f"listen: port {port} belongs to {rival}, which was created first; choose another"
    else:
        return None
    return Problem(service_key(service), str(service), reason, rival=rival)


def _conflict(service: ServiceId, key: str, owner: ServiceId) -> Problem:
    host, _, path = key.partition("/")
    shown = f"/{path.rstrip('/')}"
    return Problem(
        service_key(service),
        str(service),
        f"hosts: {'any host' if host == '*' else host} with path {shown} belongs to {owner}, "
        "which was created first; choose another host or path",
        rival=str(owner),
    )


def _wildcards(keys: list[str]) -> tuple[str, ...]:
    hosts = (key.partition("/")[0] for key in keys if key.startswith("*."))
    return tuple(dict.fromkeys(host[1:] for host in hosts))
