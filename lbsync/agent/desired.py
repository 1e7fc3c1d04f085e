"""Entries to what is wanted: who owns which host and path, which backend takes which share.

Pure apart from a cache: the result depends on the entries alone.
"""

from collections.abc import Iterable, Iterator
from math import gcd

import msgspec

from lbsync.agent.entries import Entries, Entry
from lbsync.model.desired import Backend, Choice, Desired, Problem, Service
from lbsync.model.records import (
    EndpointsRecord,
    GlobalRecord,
    RouteRecord,
    ServerRecord,
    ServiceRecord,
)
from lbsync.schema.keys import SETTINGS_GLOBAL, ServiceId, service_key

#: More slots than this and shares are rounded: a map line each, at one per mille all are exact.
MAX_SLOTS = 1000


class _Parts:
    """All entries of one service."""

    __slots__ = ("groups", "route", "service")

    def __init__(self) -> None:
        self.service: Entry | None = None
        self.route: Entry | None = None
        self.groups: dict[str, Entry] = {}

    def same(self, other: "_Parts") -> bool:
        """Tell whether nothing changed; entries are compared by identity."""
        return (
            self.service is other.service
            and self.route is other.route
            and len(self.groups) == len(other.groups)
            and all(other.groups.get(name) is entry for name, entry in self.groups.items())
        )


class _Grant(msgspec.Struct, frozen=True):
    """What a service was given of what it claims."""

    routes: tuple[str, ...] = ()
    wildcards: tuple[str, ...] = ()


def _group(entries: Entries) -> dict[ServiceId, _Parts]:
    found: dict[ServiceId, _Parts] = {}
    for entry in entries.values():
        service = entry.key.service
        if service is None:
            continue
        parts = found.get(service)
        if parts is None:
            parts = found[service] = _Parts()
        kind = entry.key.kind
        if kind == "services":
            parts.service = entry
        elif kind == "routes":
            parts.route = entry
        else:
            parts.groups[entry.key.group] = entry
    return {service: parts for service, parts in found.items() if parts.service is not None}


def _www_twin(host: str) -> str:
    return host[4:] if host.startswith("www.") else f"www.{host}"


def _claims(record: ServiceRecord) -> Iterator[tuple[str, bool]]:
    """Yield (route key, explicit) for all a service claims; twins of `www` come second."""
    hosts = dict.fromkeys(record.hosts or ("*",))
    paths = dict.fromkeys(record.paths or ("/",))
    for host in hosts:
        for path in paths:
            yield _route_key(host, path), True
    if record.redirect.www:
        for host in hosts:
            twin = _www_twin(host)
            if host[0] != "*" and twin not in hosts:
                for path in paths:
                    yield _route_key(twin, path), False


def _route_key(host: str, path: str) -> str:
    """Return the prefix that requests are matched with: it ends in "/", as their path does."""
    return f"{host}{path}" if path == "/" else f"{host}{path}/"


class Assembler:
    """Builds `Desired` pass after pass, reusing every service that did not change."""

    def __init__(self, reserved_ports: Iterable[int] = ()) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._reserved = frozenset(reserved_ports)
        self._parts: dict[ServiceId, _Parts] = {}
        self._built: dict[ServiceId, tuple[_Grant, Service]] = {}
        self._settings = GlobalRecord()

    def assemble(self, entries: Entries, revision: int, problems: tuple[Problem, ...]) -> Desired:
        """Return what `entries` ask for; `problems` found earlier are passed on."""
        found = list(problems)
        settings = GlobalRecord()
        if SETTINGS_GLOBAL in entries:
            record = entries[SETTINGS_GLOBAL].record
            assert isinstance(record, GlobalRecord)
            settings = record
        parts = _group(entries)
        grants = self._grant(parts, found)
        built: dict[ServiceId, tuple[_Grant, Service]] = {}
        for service in sorted(grants):
            grant, mine = grants[service], parts[service]
            old = self._built.get(service)
            if (
                old is not None
                and settings == self._settings
                and old[0] == grant
                and mine.same(self._parts[service])
            ):
                built[service] = old
            else:
                built[service] = (grant, _build(service, mine, grant, settings))
        self._parts, self._built, self._settings = parts, built, settings
        return Desired(
            revision,
            tuple(service for _, service in built.values()),
            settings,
            tuple(sorted(set(found), key=lambda problem: (problem.key, problem.reason))),
        )

    def _grant(
        self, parts: dict[ServiceId, _Parts], problems: list[Problem]
    ) -> dict[ServiceId, _Grant]:
        """Give each claim to the service that was created first (then by name)."""
        order = sorted(parts, key=lambda s: (_created(parts[s]), s))
        owners: dict[str, ServiceId] = {}
        ports: dict[int, ServiceId] = {}
        twins: list[tuple[ServiceId, str]] = []
        routes: dict[ServiceId, list[str]] = {}
        for service in order:
            record = _record(parts[service])
            if record.mode == "tcp":
                if self._take_port(service, record, ports, problems):
                    routes[service] = []
                continue
            mine = routes[service] = []
            for key, explicit in _claims(record):
                if explicit:
                    if owners.setdefault(key, service) == service:
                        mine.append(key)
                    else:
                        problems.append(_conflict(service, key, owners[key]))
                else:
                    twins.append((service, key))
        for service, key in twins:
            if owners.setdefault(key, service) == service:
                routes[service].append(key)
        return {service: _Grant(tuple(keys), _wildcards(keys)) for service, keys in routes.items()}

    def _take_port(
        self,
        service: ServiceId,
        record: ServiceRecord,
        ports: dict[int, ServiceId],
        problems: list[Problem],
    ) -> bool:
        port = record.listen
        assert isinstance(port, int)
        if port in self._reserved:
            reason = f"listen: port {port} is one of HAProxy's own on these hosts; choose another"
        elif ports.setdefault(port, service) != service:
            reason = f"listen: port {port} belongs to {ports[port]}, which was created first; choose another"
        else:
            return True
        problems.append(Problem(service_key(service), str(service), reason))
        return False


def _record(parts: _Parts) -> ServiceRecord:
    assert parts.service is not None
    record = parts.service.record
    assert isinstance(record, ServiceRecord)
    return record


def _created(parts: _Parts) -> int:
    assert parts.service is not None
    return parts.service.item.create_revision


def _conflict(service: ServiceId, key: str, owner: ServiceId) -> Problem:
    host, _, path = key.partition("/")
    shown = f"/{path.rstrip('/')}"
    return Problem(
        service_key(service),
        str(service),
        f"hosts: {'any host' if host == '*' else host} with path {shown} belongs to {owner}, "
        "which was created first; choose another host or path",
    )


def _wildcards(keys: list[str]) -> tuple[str, ...]:
    hosts = (key.partition("/")[0] for key in keys if key.startswith("*."))
    return tuple(dict.fromkeys(host[1:] for host in hosts))


def _servers(entry: Entry) -> tuple[ServerRecord, ...]:
    assert isinstance(entry.record, EndpointsRecord)
    return tuple(sorted(entry.record.servers, key=lambda server: server.name))


def _build(service: ServiceId, parts: _Parts, grant: _Grant, settings: GlobalRecord) -> Service:
    record = _record(parts)
    redirect = record.redirect.https
    https = settings.https == "only" if isinstance(redirect, msgspec.UnsetType) else redirect
    https = https and settings.https != "disabled"
    # A service nobody wrote endpoints for still answers: 503, with a page that says so.
    groups = {name: _servers(parts.groups[name]) for name in sorted(parts.groups)} or {
        "default": ()
    }
    backends = tuple(
        Backend(
            f"be_{service.ns}_{service.name}_{group}", str(service), group, record, servers, https
        )
        for group, servers in groups.items()
    )
    slots, choices = _choices(str(service), backends, _shares(parts, groups))
    return Service(
        str(service), service.ns, service.name, record, backends,
        grant.routes, grant.wildcards, slots, choices,
    )  # fmt: skip


def _shares(parts: _Parts, groups: dict[str, tuple[ServerRecord, ...]]) -> dict[str, int]:
    """Return the weight of each group that gets traffic; never empty."""
    if parts.route is not None:
        assert isinstance(parts.route.record, RouteRecord)
        wanted = {g: w for g, w in parts.route.record.groups.items() if w and g in groups}
        if wanted:
            return wanted
    # No route: every group, equally; but one without servers would only answer 503.
    return {g: 1 for g, servers in groups.items() if servers} or dict.fromkeys(groups, 1)


def slot_counts(shares: dict[str, int]) -> dict[str, int]:
    """Turn weights into whole numbers of slots: exact while at most `MAX_SLOTS` are needed, else
    rounded to that many, each group at least one."""
    unit = gcd(*shares.values())
    exact = {group: share // unit for group, share in shares.items()}
    total = sum(exact.values())
    if total <= MAX_SLOTS:
        return exact
    return {group: max(1, round(share * MAX_SLOTS / total)) for group, share in exact.items()}


def _choices(
    service: str, backends: tuple[Backend, ...], shares: dict[str, int]
) -> tuple[int, tuple[Choice, ...]]:
    takers = [backend for backend in backends if backend.group in shares]
    if len(takers) == 1:
        return 0, (Choice(service, takers[0].name),)
    counts = slot_counts(shares)
    names = [backend.name for backend in takers for _ in range(counts[backend.group])]
    return len(names), tuple(Choice(f"{service}/{slot}", name) for slot, name in enumerate(names))
