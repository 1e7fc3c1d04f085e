"""The grants of all services, updated only as far as a change reaches. Pure.

Most changes concern no other service: hosts come or go while none is disputed. These are decided from
the changed services alone; everything else is decided for all services, as `claims` says.
"""

import copy
from collections.abc import Callable, Iterable, Mapping

import msgspec

from lbsync.agent.desired.claims import Claimant, Grant, explicit, grant, granted
from lbsync.model.desired import Problem
from lbsync.model.records import ServiceRecord
from lbsync.model.routes import claims_of
from lbsync.schema.keys import ServiceId


class ClaimChange(msgspec.Struct, frozen=True):
    """A service's record before and after; None: it did not exist, or is gone."""

    old: ServiceRecord | None
    new: ServiceRecord | None
    same_claimant: bool = True
    """The key was not removed and created again in between."""


class Ownership:
    """Which service was given what."""

    def __init__(self, reserved_ports: frozenset[int]) -> None:
        """`reserved_ports`: ports of HAProxy's own frontends, which no tcp service can have."""
        self._reserved = reserved_ports
        self._owners: dict[str, ServiceId] = {}
        self._twins = False
        self._disputing: frozenset[str] = frozenset()
        self._disputed: frozenset[str] = frozenset()
        """The keys that were refused to somebody, so that others wait for them."""
        self._is_sorted = True
        self.grants: dict[ServiceId, Grant] = {}
        """What each service has, without those that were refused everything; see `in_order`."""
        self.conflicts: list[Problem] = []
        """The claims that were refused."""

    @property
    def shut_out(self) -> list[Problem]:
        """The claims that were refused of services that have nothing now."""
        if not self.conflicts:
            return []
        has = {str(service) for service, given in self.grants.items() if given.routes}
        return [problem for problem in self.conflicts if problem.service not in has]

    def clone(self) -> "Ownership":
        """Return an independent copy."""
        other = copy.copy(self)
        other._owners, other.grants = dict(self._owners), dict(self.grants)
        other.conflicts = list(self.conflicts)
        return other

    def independent_grants(
        self, changes: Mapping[ServiceId, ClaimChange]
    ) -> dict[ServiceId, Grant | None] | None:
        """Return the new grants of these services, None for those that are gone; None instead if other
        services are concerned. Changes nothing: see `apply`."""
        given: dict[ServiceId, Grant | None] = {}
        claimed: dict[str, ServiceId] = {}
        for service, change in changes.items():
            before, routes = _routes(change.old), _routes(change.new)
            if before is None or routes is None or str(service) in self._disputing:
                return None
            if self._disputed and not self._disputed.isdisjoint({*before} - {*routes}):
                return None
            # What one gives up may be the `www` twin that another did not get.
            if not change.same_claimant or (self._twins and not set(before) <= set(routes)):
                return None
            for key in routes:
                if self._owners.get(key, service) != service or key in claimed:
                    return None
                claimed[key] = service
            given[service] = granted(routes) if change.new is not None else None
        return given

    def apply(self, given: Mapping[ServiceId, Grant | None]) -> None:
        """Apply what `independent_grants` returned."""
        for service in given:
            for key in self.grants[service].routes if service in self.grants else ():
                self._owners.pop(key, None)
        for service, grant_ in given.items():
            if grant_ is None:
                self.grants.pop(service, None)
                continue
            self._owners.update(dict.fromkeys(grant_.routes, service))
            self._is_sorted &= service in self.grants
            self.grants[service] = grant_

    def in_order(self) -> Iterable[ServiceId]:
        """Return the services that have something, sorted by name."""
        if not self._is_sorted:
            self.grants = {service: self.grants[service] for service in sorted(self.grants)}
            self._is_sorted = True
        return self.grants

    def update(
        self, changes: Mapping[ServiceId, ClaimChange], claimants: Callable[[], Iterable[Claimant]]
    ) -> set[ServiceId]:
        """Apply changed claims; return the services whose grants changed, also those that lost all.
        `claimants` returns all services."""
        old = dict(self.grants)
        given = self.independent_grants(changes)
        if given is not None:
            self.apply(given)
            return {service for service in given if old.get(service) != self.grants.get(service)}
        everyone = list(claimants())
        self.grants, self.conflicts, self._twins = grant(everyone, self._reserved)
        self._is_sorted = True
        self._owners = {key: name for name, each in self.grants.items() for key in each.routes}
        self._disputing = frozenset(problem.service for problem in self.conflicts)
        self._disputed = frozenset(
            key
            for claimant in everyone
            if str(claimant.service) in self._disputing and claimant.record.mode != "tcp"
            for key, _ in claims_of(claimant.record)
            if self._owners.get(key) != claimant.service
        )
        concerned = old.keys() | self.grants.keys()
        return {service for service in concerned if old.get(service) != self.grants.get(service)}


def _routes(record: ServiceRecord | None) -> tuple[str, ...] | None:
    """Return the routes that a service names itself; None if more than that matters."""
    if record is None:
        return ()
    return None if record.mode == "tcp" else explicit(record)
