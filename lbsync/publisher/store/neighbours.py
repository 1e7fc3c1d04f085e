"""Who claims what lies below another's host: all services keys there are, whoever wrote them. Pure.

The narrowest path wins, whoever names it. Within a namespace that is how teams split a host; from another
one it may be an attack, and only the older owner can tell.
"""

import itertools
from collections.abc import Iterable, Iterator

import msgspec

from lbsync.errors import BadKey
from lbsync.model.records import ServiceRecord
from lbsync.model.routes import above, routes_of, shown
from lbsync.model.snapshot import Item
from lbsync.schema.decode import decode
from lbsync.schema.keys import Key, ServiceId, parse_key

MOST_NAMED = 5
"""Of how many claims an owner is told one by one."""
_MOST_READ = 50
_MOST_OF_ONE = 10


class _Claimant(msgspec.Struct, frozen=True):
    age: tuple[int, str, str]
    """The smaller one is the older, as the agents see it."""
    service: ServiceId
    routes: tuple[str, ...]


class Neighbours:
    """All claims, kept fresh key by key."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._claimants: dict[ServiceId, _Claimant] = {}
        self._below: dict[str, dict[str, dict[tuple[str, ServiceId], None]]] = {}
        """Route key to namespace to the claims that fall under it."""
        self._owners: dict[str, set[ServiceId]] = {}
        self._touched: dict[str, set[str]] = {}
        """Route key to the namespaces of which a claim below it changed."""
        self._changed: set[ServiceId] = set()
        for item in items:
            self.note(item.key, item)

    def note(self, key: str, item: Item | None) -> None:
        """Take in one key as it is now; None: it is gone. Others than of services do not matter."""
        if (parsed := _services_key(key)) is None or (service := parsed.service) is None:
            return
        new = _claimant(parsed, item) if item is not None else None
        old = self._claimants.pop(service, None)
        if new is not None:
            self._claimants[service] = new
        if (old and (old.age, old.routes)) == (new and (new.age, new.routes)):
            return
        self._changed.add(service)
        if old is not None:
            self._leave(old)
        if new is not None:
            self._enter(new)

    def forget(self) -> None:
        """Know nothing of any service, as before the first one was told."""
        for known in (self._claimants, self._below, self._owners, self._touched, self._changed):
            known.clear()

    def affected(self) -> set[ServiceId]:
        """Return, once, the services of which `told` may say something else than before."""
        touched, self._touched = self._touched, {}
        changed, self._changed = self._changed, set()
        found = {service for service in changed if self.told(service)}
        for route, by in touched.items():
            found |= {own for own in self._owners.get(route, ()) if by - {own.ns}}
        return found

    def told(self, service: ServiceId) -> tuple[str, ...]:
        """Return a sentence for each claim, by a younger service of another namespace, of something
        that falls under what this service claims."""
        own = self._claimants.get(service)
        if own is None:
            return ()
        found: dict[tuple[str, ServiceId], str] = {}
        for mine in own.routes:
            for route, other in itertools.islice(self._others(mine, own), _MOST_READ):
                found.setdefault((route, other), mine)
            if len(found) > _MOST_READ:
                break
        named = sorted(found.items(), key=lambda one: one[0])[:MOST_NAMED]
        told = [_sentence(service, mine, route, other) for (route, other), mine in named]
        if len(found) > MOST_NAMED:
            told.append(
                f"services/{service}: more claims of other namespaces fall under what it claims; "
                "'lbsync service ls' shows all services"
            )
        return tuple(told)

    def is_oldest(self, service: ServiceId, route: str) -> bool:
        """Tell whether a service has a route that it claims: nobody older claims the same."""
        own = self._claimants.get(service)
        owners = self._owners.get(route, set())
        return (
            own is not None
            and service in owners
            and all(self._claimants[other].age >= own.age for other in owners)
        )

    def robbed(self, service: ServiceId, route: str) -> ServiceId | None:
        """Return the service of another namespace that has a route which this one does not claim yet, and, being the
        older one, would take away by claiming it."""
        own = self._claimants.get(service)
        if own is None or route in own.routes:
            return None
        rivals = (self._claimants[other] for other in self._owners.get(route, ()))
        found = [one for one in rivals if one.service.ns != service.ns]
        oldest = min(found, key=lambda one: one.age, default=None)
        return oldest.service if oldest is not None and oldest.age > own.age else None

    def _others(self, route: str, own: _Claimant) -> Iterator[tuple[str, ServiceId]]:
        """Yield the claims of younger services of other namespaces; of very many only some, so that
        nobody makes this slow."""
        for ns, claims in self._below.get(route, {}).items():
            if ns != own.service.ns:
                for below, other in itertools.islice(reversed(claims), _MOST_OF_ONE):
                    if self._claimants[other].age > own.age:
                        yield below, other

    def _leave(self, old: _Claimant) -> None:
        ns = old.service.ns
        for route in old.routes:
            self._owners[route].discard(old.service)
            if not self._owners[route]:
                del self._owners[route]
            for higher in above(route):
                self._touched.setdefault(higher, set()).add(ns)
                below = self._below[higher]
                below[ns].pop((route, old.service), None)
                if not below[ns]:
                    del below[ns]

    def _enter(self, new: _Claimant) -> None:
        ns = new.service.ns
        for route in new.routes:
            for higher in above(route):
                self._touched.setdefault(higher, set()).add(ns)
                self._below.setdefault(higher, {}).setdefault(ns, {})[route, new.service] = None
            self._owners.setdefault(route, set()).add(new.service)


def _services_key(key: str) -> Key | None:
    if not key.startswith("services/"):
        return None
    try:
        return parse_key(key)
    except ValueError:
        return None


def _sentence(service: ServiceId, mine: str, route: str, other: ServiceId) -> str:
    what = (
        f"{other} claims {shown(route)} too, and gets it as soon as this service goes"
        if route == mine
        else f"{other} took {shown(route)}, which falls under {shown(mine)}"
    )
    host = mine.partition("/")[0]
    field, what_for = ("listen", host[1:]) if host.startswith(":") else ("hosts", host)
    return (
        f"services/{service}: {what}; if {other.ns} should not have it, let the operator of the hosts add "
        f'"{service.ns}={what_for}" to [claims] {field}'
    )


def _claimant(parsed: Key, item: Item) -> _Claimant | None:
    try:
        record = decode(item.key, parsed, item.value, explain=False)
    except BadKey:
        return None  # agents do not take it either
    service = parsed.service
    if service is None or not isinstance(record, ServiceRecord):
        return None
    routes = routes_of(record)
    return _Claimant((item.create_revision, service.ns, service.name), service, routes)
