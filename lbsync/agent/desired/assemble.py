"""From entries to the desired state: who owns which host and path, which backend gets which share.

Pure apart from a cache: the result depends only on the entries.
"""

import copy
from collections.abc import Iterable, Iterator

from lbsync.agent.desired.claims import Claimant, asks_for
from lbsync.agent.desired.decode import Entries, Entry, EntryChanges, differing
from lbsync.agent.desired.ownership import ClaimChange, Ownership
from lbsync.agent.desired.problem_limit import few
from lbsync.agent.desired.service_parts import Parts, build, leads_on, redirects
from lbsync.model.desired import Desired, Problem, Service, ServiceChanges
from lbsync.model.profiles import Profiles
from lbsync.model.records import (
    GlobalRecord,
    ServiceRecord,
)
from lbsync.schema.keys import SETTINGS_GLOBAL, Key, ServiceId


class Assembler:
    """Builds `Desired` pass after pass; the cost is that of what changed."""

    def __init__(self, reserved_ports: Iterable[int] = ()) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._seen: dict[str, Entry] = {}
        self._parts: dict[ServiceId, Parts] = {}
        self._owned = Ownership(frozenset(reserved_ports))
        self._profiles = Profiles()
        self._built: dict[ServiceId, Service] = {}
        self._in_order: list[Service] | None = None
        """Those of `_built` that have something, sorted by name; None: it is not known."""
        self._places: dict[ServiceId, int] = {}
        self._settings = GlobalRecord()

    def clone(self) -> "Assembler":
        """Return an independent copy."""
        other = copy.copy(self)
        other._seen, other._built = dict(self._seen), dict(self._built)
        other._in_order = None
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
        news: dict[ServiceId, Parts] = {}
        gone = ((entry.key, None) for entry in changes.gone)
        for key, entry in (*gone, *((entry.key, entry) for entry in changes.changed)):
            if key.service is None:
                return None
            if key.service not in news:
                known = self._parts.get(key.service)
                news[key.service] = known.clone() if known else Parts()
            news[key.service].set(key, entry)
        claims: dict[ServiceId, ClaimChange] = {}
        for service, parts in news.items():
            before = self._service_entry(service)
            is_shut_out = before is not None and service not in self._owned.grants
            if is_shut_out or (parts.route is not None and not leads_on(parts.route, parts)):
                return None
            if (claim := _claim_change(before, parts.service)) is not None:
                claims[service] = claim
        given = self._owned.independent_grants(claims) if claims else {}
        if given is None:
            return None
        self._owned.apply(given)
        return self._take_over(changes, news)

    def _take_over(self, changes: EntryChanges, news: dict[ServiceId, Parts]) -> ServiceChanges:
        for entry in changes.gone:
            self._seen.pop(entry.item.key, None)
        self._seen.update((entry.item.key, entry) for entry in changes.changed)
        gone = []
        for service, parts in news.items():
            self._parts[service] = parts
            if parts.empty():
                del self._parts[service]
            if parts.service is None and self._built.pop(service, None) is not None:
                self._in_order = None
                gone.append(str(service))
        built = [self._rebuild(s) for s, parts in news.items() if parts.service is not None]
        return ServiceChanges(tuple(built), tuple(gone))

    def _rebuild(self, service: ServiceId) -> Service:
        given = self._owned.grants[service]
        https = redirects(self._parts[service], self._settings)
        built = build(service, self._parts[service], given, self._profiles, https=https)
        self._built[service] = built
        if self._in_order is not None and service in self._places:
            self._in_order[self._places[service]] = built
        else:
            self._in_order = None
        return built

    def _services(self) -> tuple[Service, ...]:
        if self._in_order is None:
            every = list(self._owned.in_order())
            self._in_order = list(map(self._built.__getitem__, every))
            self._places = dict(zip(every, range(len(every)), strict=True))
        return tuple(self._in_order)

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
        if turned:
            self._in_order = None
        settings = settings_of(entries)
        if settings != self._settings:
            self._settings, dirty = settings, set(grants)
        for service in dirty & grants.keys():
            self._rebuild(service)
        return Desired(
            revision,
            self._services(),
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
            parts = self._parts.setdefault(key.service, Parts())
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
