"""Entries to what is wanted: who owns which host and path, which backend takes which share.

Pure apart from a cache: the result depends on the entries alone.
"""

from collections.abc import Iterable
from math import gcd

import msgspec

from lbsync.agent.claims import Claimant, Grant, asks_for, explicit, grant, granted
from lbsync.agent.entries import Entries, Entry
from lbsync.model.desired import Backend, Choice, Desired, Problem, Service
from lbsync.model.records import (
    EndpointsRecord,
    GlobalRecord,
    RouteRecord,
    ServerRecord,
    ServiceRecord,
)
from lbsync.schema.keys import SETTINGS_GLOBAL, Key, ServiceId

#: More slots than this and shares are rounded: a map line each, at one per mille all are exact.
MAX_SLOTS = 1000
_NOBODY = ServiceId("", "")


class _Parts:
    """All entries of one service; changed in place as entries come and go."""

    __slots__ = ("groups", "route", "service")

    def __init__(self) -> None:
        self.service: Entry | None = None
        self.route: Entry | None = None
        self.groups: dict[str, Entry] = {}

    def set(self, key: Key, entry: Entry | None) -> None:
        """Take in one entry; None removes it."""
        if key.kind == "services":
            self.service = entry
        elif key.kind == "routes":
            self.route = entry
        elif entry is None:
            self.groups.pop(key.group, None)
        else:
            self.groups[key.group] = entry

    def empty(self) -> bool:
        """Tell whether nothing is left."""
        return self.service is None and self.route is None and not self.groups


def _leads_on(entry: Entry, parts: _Parts) -> bool:
    """Tell whether every group that a route gives traffic is there."""
    assert isinstance(entry.record, RouteRecord)
    return all(group in parts.groups for group, share in entry.record.groups.items() if share)


class Assembler:
    """Builds `Desired` pass after pass; a pass costs what has changed, not what there is."""

    def __init__(self, reserved_ports: Iterable[int] = ()) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._reserved = frozenset(reserved_ports)
        self._seen: dict[str, Entry] = {}
        self._parts: dict[ServiceId, _Parts] = {}
        self._grants: dict[ServiceId, Grant] = {}
        self._conflicts: list[Problem] = []
        self._built: dict[ServiceId, Service] = {}
        self._settings = GlobalRecord()
        self._owners: dict[str, ServiceId] | None = None

    def nudge(self, changed: Iterable[Entry]) -> list[Service] | None:
        """Take over entries that changed, where each leaves the structure as it is.

        Return the services that are different now; None, having changed nothing, when only
        `assemble` can tell: new services or groups, settings, claims that meet others.
        """
        changed = list(changed)
        grants: dict[ServiceId, Grant] = {}
        for entry in changed:
            service, parts = entry.key.service, self._parts.get(entry.key.service or _NOBODY)
            if service is None or parts is None or service not in self._grants:
                return None
            if entry.key.kind == "endpoints" and entry.key.group not in parts.groups:
                return None
            if entry.key.kind == "routes" and not _leads_on(entry, parts):
                return None
            if entry.key.kind == "services":
                given = self._regrant(service, parts, entry)
                if given is None:
                    return None
                grants[service] = given
        for entry in changed:
            assert entry.key.service is not None
            self._parts[entry.key.service].set(entry.key, entry)
            self._seen[entry.item.key] = entry
        for service, given in grants.items():
            self._own(service, given)
        return [
            self._rebuild(service)
            for service in dict.fromkeys(entry.key.service for entry in changed)
            if service is not None
        ]

    def _regrant(self, service: ServiceId, parts: _Parts, entry: Entry) -> Grant | None:
        """Return what the changed record is given, where nobody else is concerned."""
        old, new = _record(parts), entry.record
        assert isinstance(new, ServiceRecord)
        assert parts.service is not None
        if entry.item.create_revision != parts.service.item.create_revision:
            return None
        if asks_for(old) == asks_for(new):
            return self._grants[service]
        routes = explicit(new)
        if old.mode == "tcp" or new.mode == "tcp" or self._conflicts or routes is None:
            return None
        if explicit(old) is None or any(self._owner(key) not in (None, service) for key in routes):
            return None
        return granted(routes)

    def _owner(self, key: str) -> ServiceId | None:
        if self._owners is None:
            self._owners = {key: s for s, given in self._grants.items() for key in given.routes}
        return self._owners.get(key)

    def _own(self, service: ServiceId, given: Grant) -> None:
        if self._owners is not None:
            for key in self._grants[service].routes:
                self._owners.pop(key, None)
            self._owners.update(dict.fromkeys(given.routes, service))
        self._grants[service] = given

    def _rebuild(self, service: ServiceId) -> Service:
        given = self._grants[service]
        self._built[service] = _build(service, self._parts[service], given, self._settings)
        return self._built[service]

    def assemble(self, entries: Entries, revision: int, problems: tuple[Problem, ...]) -> Desired:
        """Return what `entries` ask for; `problems` found earlier are passed on."""
        changes = self._changes(entries)
        services = {key.service for key, _ in changes if key.service is not None}
        before = {service: self._claimed(service) for service in services}
        self._take(changes)
        self._seen = dict(entries)
        dirty = set(services)
        if any(self._claimed(service) != before[service] for service in services):
            dirty |= self._grant()
        settings = _settings(entries)
        if settings != self._settings:
            self._settings, dirty = settings, set(self._grants)
        for service in dirty & self._grants.keys():
            self._rebuild(service)
        found = {*problems, *self._conflicts}
        return Desired(
            revision,
            tuple(self._built[service] for service in self._grants),
            settings,
            tuple(sorted(found, key=lambda problem: (problem.key, problem.reason))),
        )

    def _changes(self, entries: Entries) -> list[tuple[Key, Entry | None]]:
        """Return what differs from the last pass; None stands for an entry that is gone."""
        seen = self._seen
        gone = [(e.key, None) for name, e in seen.items() if name not in entries]
        return [*gone, *((e.key, e) for name, e in entries.items() if seen.get(name) is not e)]

    def _take(self, changes: list[tuple[Key, Entry | None]]) -> None:
        for key, entry in changes:
            if key.service is None:
                continue
            parts = self._parts.setdefault(key.service, _Parts())
            parts.set(key, entry)
            if parts.empty():
                del self._parts[key.service]

    def _claimed(self, service: ServiceId) -> object:
        """Return all that decides about a service's claims; None where it makes none."""
        parts = self._parts.get(service)
        if parts is None or parts.service is None:
            return None
        return parts.service.item.create_revision, asks_for(_record(parts))

    def _grant(self) -> set[ServiceId]:
        """Decide all claims anew; return the services that got something else than before."""
        old = self._grants
        self._owners = None
        claimants = (
            Claimant(parts.service.item.create_revision, service, _record(parts))
            for service, parts in self._parts.items()
            if parts.service is not None
        )
        self._grants, self._conflicts = grant(claimants, self._reserved)
        for service in old.keys() - self._grants.keys():
            del self._built[service]
        return {service for service, given in self._grants.items() if old.get(service) != given}


def _settings(entries: Entries) -> GlobalRecord:
    entry = entries.get(SETTINGS_GLOBAL)
    if entry is None:
        return GlobalRecord()
    assert isinstance(entry.record, GlobalRecord)
    return entry.record


def _record(parts: _Parts) -> ServiceRecord:
    assert parts.service is not None
    record = parts.service.record
    assert isinstance(record, ServiceRecord)
    return record


def _servers(entry: Entry) -> tuple[ServerRecord, ...]:
    assert isinstance(entry.record, EndpointsRecord)
    return tuple(sorted(entry.record.servers, key=lambda server: server.name))


def _build(service: ServiceId, parts: _Parts, given: Grant, settings: GlobalRecord) -> Service:
    record = _record(parts)
    redirect = record.redirect.https
    https = settings.https == "only" if isinstance(redirect, msgspec.UnsetType) else redirect
    https = https and settings.https != "disabled"
    # A service nobody wrote endpoints for still answers: 503, with a page that says so.
    groups = {name: _servers(parts.groups[name]) for name in sorted(parts.groups)} or {
        "default": ()
    }
    lead = f"be_{service.ns}_{service.name}_{next(iter(groups))}"
    backends = tuple(
        Backend(
            f"be_{service.ns}_{service.name}_{group}", str(service), group, record, servers, https,
            lead, any(server.address.is_name for server in servers),
        )
        for group, servers in groups.items()
    )  # fmt: skip
    slots, choices = _choices(str(service), backends, _shares(parts, groups))
    return Service(
        str(service), service.ns, service.name, record, backends,
        given.routes, given.wildcards, slots, choices,
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
