"""From entries to the desired state: who owns which host and path, which backend gets which share.

Pure apart from a cache: the result depends only on the entries.
"""

import copy
from collections.abc import Iterable, Iterator

import msgspec

from lbsync.agent.desired import server_ids
from lbsync.agent.desired.claims import Claimant, Grant, asks_for
from lbsync.agent.desired.decode import Entries, Entry, EntryChanges, differing
from lbsync.agent.desired.ownership import ClaimChange, Ownership
from lbsync.agent.desired.problem_limit import few
from lbsync.model.desired import Backend, Choice, Desired, Problem, Service, ServiceChanges
from lbsync.model.profiles import Profiles
from lbsync.model.records import (
    EndpointsRecord,
    GlobalRecord,
    RouteRecord,
    ServerRecord,
    ServiceRecord,
)
from lbsync.model.slots import slot_counts
from lbsync.schema.keys import SETTINGS_GLOBAL, Key, ServiceId, backend_name


class _Parts:
    """All entries of one service; changed in place."""

    __slots__ = ("groups", "single")

    def __init__(self) -> None:
        self.single: dict[str, Entry] = {}
        """What a service has one of, by kind: its own record, its route."""
        self.groups: dict[str, Entry] = {}

    def set(self, key: Key, entry: Entry | None) -> None:
        """Set one entry; None removes it."""
        is_group = key.kind == "endpoints"
        entries, name = (self.groups, key.group) if is_group else (self.single, key.kind)
        if entry is None:
            entries.pop(name, None)
        else:
            entries[name] = entry

    def clone(self) -> "_Parts":
        """Return an independent copy."""
        other = _Parts()
        other.single, other.groups = dict(self.single), dict(self.groups)
        return other

    def empty(self) -> bool:
        """Tell whether nothing is left."""
        return not self.single and not self.groups

    @property
    def service(self) -> Entry | None:
        """Its own record, if it is written."""
        return self.single.get("services")

    @property
    def route(self) -> Entry | None:
        """Its route, if it has one."""
        return self.single.get("routes")


def _leads_on(entry: Entry, parts: _Parts) -> bool:
    """Tell whether every group that a route gives traffic is there."""
    shares = entry.is_a(RouteRecord).groups
    return all(group in parts.groups for group, share in shares.items() if share)


class Assembler:
    """Builds `Desired` pass after pass; the cost is that of what changed."""

    def __init__(self, reserved_ports: Iterable[int] = ()) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._seen: dict[str, Entry] = {}
        self._parts: dict[ServiceId, _Parts] = {}
        self._owned = Ownership(frozenset(reserved_ports))
        self._profiles = Profiles()
        self._built: dict[ServiceId, Service] = {}
        self._settings = GlobalRecord()

    def clone(self) -> "Assembler":
        """Return an independent copy."""
        other = copy.copy(self)
        other._seen, other._built = dict(self._seen), dict(self._built)
        other._parts = {service: parts.clone() for service, parts in self._parts.items()}
        other._owned = self._owned.clone()
        return other

    @property
    def shut_out(self) -> list[Problem]:
        """The claims that were refused of services that were given none."""
        return self._owned.shut_out

    def update(self, changes: EntryChanges) -> ServiceChanges | None:
        """Apply changes that concern no other services; return the services that differ now.

        None, with nothing changed, when it takes `assemble`: for settings, for a route to a group that
        is not there, for claims that touch others.
        """
        news: dict[ServiceId, _Parts] = {}
        gone = ((entry.key, None) for entry in changes.gone)
        for key, entry in (*gone, *((entry.key, entry) for entry in changes.changed)):
            if key.service is None:
                return None
            if key.service not in news:
                known = self._parts.get(key.service)
                news[key.service] = known.clone() if known else _Parts()
            news[key.service].set(key, entry)
        claims: dict[ServiceId, ClaimChange] = {}
        for service, parts in news.items():
            before = self._service_entry(service)
            is_shut_out = before is not None and service not in self._owned.grants
            if is_shut_out or (parts.route is not None and not _leads_on(parts.route, parts)):
                return None
            if (claim := _claim_change(before, parts.service)) is not None:
                claims[service] = claim
        given = self._owned.independent_grants(claims) if claims else {}
        if given is None:
            return None
        self._owned.apply(given)
        return self._take_over(changes, news)

    def _take_over(self, changes: EntryChanges, news: dict[ServiceId, _Parts]) -> ServiceChanges:
        for entry in changes.gone:
            self._seen.pop(entry.item.key, None)
        self._seen.update((entry.item.key, entry) for entry in changes.changed)
        gone = []
        for service, parts in news.items():
            self._parts[service] = parts
            if parts.empty():
                del self._parts[service]
            if parts.service is None and self._built.pop(service, None) is not None:
                gone.append(str(service))
        built = [self._rebuild(s) for s, parts in news.items() if parts.service is not None]
        return ServiceChanges(tuple(built), tuple(gone))

    def _rebuild(self, service: ServiceId) -> Service:
        given = self._owned.grants[service]
        https = _redirects(self._parts[service], self._settings)
        built = _build(service, self._parts[service], given, self._profiles, https=https)
        self._built[service] = built
        return built

    def assemble(self, entries: Entries, revision: int, problems: tuple[Problem, ...]) -> Desired:
        """Return what `entries` ask for; earlier `problems` are passed on."""
        changes = self._changes(entries)
        services = {key.service for key, _ in changes if key.service is not None}
        before = {service: self._service_entry(service) for service in services}
        self._apply(changes)
        self._seen = dict(entries)
        found = {s: _claim_change(before[s], self._service_entry(s)) for s in services}
        claims = {service: claim for service, claim in found.items() if claim is not None}
        turned = self._owned.update(claims, self._claimants) if claims else set()
        dirty = services | turned
        grants = self._owned.grants
        for service in turned - grants.keys():
            self._built.pop(service, None)
        settings = settings_of(entries)
        if settings != self._settings:
            self._settings, dirty = settings, set(grants)
        for service in dirty & grants.keys():
            self._rebuild(service)
        return Desired(
            revision,
            tuple(map(self._built.__getitem__, self._owned.in_order())),
            settings,
            tuple(few({*problems, *self._owned.conflicts})),
        )

    def _changes(self, entries: Entries) -> list[tuple[Key, Entry | None]]:
        """Return what differs from the last pass; None: the entry is gone."""
        seen = self._seen
        other = differing(entries, seen)
        gone = [(seen[name].key, None) for name in other if name not in entries]
        return [*gone, *((e.key, e) for e in map(entries.get, other) if e is not None)]

    def _apply(self, changes: list[tuple[Key, Entry | None]]) -> None:
        for key, entry in changes:
            if key.service is None:
                continue
            parts = self._parts.setdefault(key.service, _Parts())
            parts.set(key, entry)
            if parts.empty():
                del self._parts[key.service]

    def _service_entry(self, service: ServiceId) -> Entry | None:
        parts = self._parts.get(service)
        return parts.service if parts is not None else None

    def _claimants(self) -> Iterator[Claimant]:
        for service, parts in self._parts.items():
            if parts.service is not None:
                entry = parts.service
                yield Claimant(entry.item.create_revision, service, _record(entry))


def _claim_change(before: Entry | None, after: Entry | None) -> ClaimChange | None:
    """Return how a service's claims changed; None: they did not."""
    if before is None and after is None:
        return None
    if before is None or after is None:
        return ClaimChange(_record(before) if before else None, _record(after) if after else None)
    old, new = _record(before), _record(after)
    same = before.item.create_revision == after.item.create_revision
    return None if same and asks_for(old) == asks_for(new) else ClaimChange(old, new, same)


def settings_of(entries: Entries) -> GlobalRecord:
    """Return the settings for all services."""
    entry = entries.get(SETTINGS_GLOBAL)
    return GlobalRecord() if entry is None else entry.is_a(GlobalRecord)


def _record(entry: Entry) -> ServiceRecord:
    return entry.is_a(ServiceRecord)


def _servers(entry: Entry) -> tuple[ServerRecord, ...]:
    return tuple(sorted(entry.is_a(EndpointsRecord).servers, key=lambda server: server.name))


def _redirects(parts: _Parts, settings: GlobalRecord) -> bool:
    """Tell whether plain requests of a service are redirected to https."""
    asked = _record(parts.single["services"]).redirect.https
    if settings.https == "disabled":
        return False
    return settings.https == "only" if isinstance(asked, msgspec.UnsetType) else asked


def _build(
    service: ServiceId, parts: _Parts, given: Grant, profiles: Profiles, *, https: bool
) -> Service:
    record = _record(parts.single["services"])
    profile = profiles.of(record, str(service), https=https)
    groups = _groups(parts)
    by_hash = record.balance in server_ids.BALANCES
    lead = backend_name(service, next(iter(groups)))
    backends = tuple(
        Backend(
            backend_name(service, group), str(service), group, record, profile, servers, https,
            lead, any(server.address.is_name for server in servers),
            server_ids.ids(server.name for server in servers) if by_hash else {},
        )
        for group, servers in groups.items()
    )  # fmt: skip
    slots, choices = _choices(str(service), backends, _shares(parts, groups))
    return Service(
        str(service), service.ns, service.name, record, backends,
        given.routes, given.wildcards, slots, choices,
    )  # fmt: skip


def _groups(parts: _Parts) -> dict[str, tuple[ServerRecord, ...]]:
    """Return the servers of each group, sorted by name; never empty.

    A service without any group still answers, with 503 and a page that says so. So does one whose route
    leads only to missing groups: these count as empty, since the existing groups were given no share.
    """
    groups = {name: _servers(entry) for name, entry in parts.groups.items()}
    led_to = _led_to(parts)
    if led_to and not led_to.keys() & groups.keys():
        groups |= dict.fromkeys(led_to, ())
    return dict(sorted(groups.items())) or {"default": ()}


def _led_to(parts: _Parts) -> dict[str, int]:
    """Return the groups to which the route gives a share above 0, and that share."""
    if parts.route is None:
        return {}
    shares = parts.route.is_a(RouteRecord).groups
    return {group: share for group, share in shares.items() if share}


def _shares(parts: _Parts, groups: dict[str, tuple[ServerRecord, ...]]) -> dict[str, int]:
    """Return the weight of each group that gets traffic; never empty."""
    if parts.route is not None:
        return {group: share for group, share in _led_to(parts).items() if group in groups}
    # No route: all groups equally, but not those without servers, which would answer 503.
    return {g: 1 for g, servers in groups.items() if servers} or dict.fromkeys(groups, 1)


def _choices(
    service: str, backends: tuple[Backend, ...], shares: dict[str, int]
) -> tuple[int, tuple[Choice, ...]]:
    takers = [backend for backend in backends if backend.group in shares]
    if len(takers) == 1:
        return 0, (Choice(service, takers[0].name),)
    counts = slot_counts(shares)
    names = [backend.name for backend in takers for _ in range(counts[backend.group])]
    return len(names), tuple(Choice(f"{service}/{slot}", name) for slot, name in enumerate(names))
