"""One service, built from its entries. Pure."""

import hashlib
from collections.abc import Iterable

import msgspec

from lbsync.agent.desired.claims import Grant
from lbsync.agent.desired.decode import Entry
from lbsync.model.desired import Backend, Choice, Service
from lbsync.model.profiles import Profiles
from lbsync.model.records import (
    EndpointsRecord,
    GlobalRecord,
    RouteRecord,
    ServerRecord,
    ServiceRecord,
)
from lbsync.model.slots import slot_counts
from lbsync.schema.keys import Key, ServiceId, backend_name

_BY_HASH = frozenset(("source", "uri"))
_MOST = (1 << 31) - 1


class Parts:
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

    def clone(self) -> "Parts":
        """Return an independent copy."""
        other = Parts()
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


def leads_on(entry: Entry, parts: Parts) -> bool:
    """Tell whether every group that a route gives traffic is there."""
    shares = entry.is_a(RouteRecord).groups
    return all(group in parts.groups for group, share in shares.items() if share)


def _record(entry: Entry) -> ServiceRecord:
    return entry.is_a(ServiceRecord)


def _servers(entry: Entry) -> tuple[ServerRecord, ...]:
    return tuple(sorted(entry.is_a(EndpointsRecord).servers, key=lambda server: server.name))


def redirects(parts: Parts, settings: GlobalRecord) -> bool:
    """Tell whether plain requests of a service are redirected to https."""
    asked = _record(parts.single["services"]).redirect.https
    if settings.https == "disabled":
        return False
    return settings.https == "only" if isinstance(asked, msgspec.UnsetType) else asked


def build(
    service: ServiceId, parts: Parts, given: Grant, profiles: Profiles, *, https: bool
) -> Service:
    """Return the service of these entries. `given`: what it was granted; `https`: plain requests are redirected."""
    record = _record(parts.single["services"])
    profile = profiles.of(record, str(service), https=https)
    groups = _groups(parts)
    by_hash = record.balance in _BY_HASH
    lead = backend_name(service, next(iter(groups)))
    backends = tuple(
        Backend(
            backend_name(service, group), str(service), group, record, profile, servers, https,
            lead, any(server.address.is_name for server in servers),
            server_ids(server.name for server in servers) if by_hash else {},
        )
        for group, servers in groups.items()
    )  # fmt: skip
    slots, choices = _choices(str(service), backends, _shares(parts, groups))
    return Service(
        str(service), service.ns, service.name, record, backends,
        given.routes, given.wildcards, slots, choices,
    )  # fmt: skip


def _groups(parts: Parts) -> dict[str, tuple[ServerRecord, ...]]:
    """Return the servers of each group, sorted by name; never empty.

    A service without any group still answers, with 503 and a page that says so. So does one whose route
    leads only to missing groups: these count as empty, since the existing groups were given no share.
    """
    groups = {name: _servers(entry) for name, entry in parts.groups.items()}
    led_to = _led_to(parts)
    if led_to and not led_to.keys() & groups.keys():
        groups |= dict.fromkeys(led_to, ())
    return dict(sorted(groups.items())) or {"default": ()}


def _led_to(parts: Parts) -> dict[str, int]:
    """Return the groups to which the route gives a share above 0, and that share."""
    if parts.route is None:
        return {}
    shares = parts.route.is_a(RouteRecord).groups
    return {group: share for group, share in shares.items() if share}


def _shares(parts: Parts, groups: dict[str, tuple[ServerRecord, ...]]) -> dict[str, int]:
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


def server_ids(names: Iterable[str]) -> dict[str, int]:
    """Return a number from 1 to 2^31 - 1 for each name, no two alike.

    A consistent hash places a server by its `id`, and HAProxy numbers servers by their order (configuration
    manual, "hash-type" and "id"): one that goes would move the clients of all that stand after it, at the
    next reload, and hosts with another history would send a client elsewhere. So the id comes from the name.

    It depends on the name alone, except for those that fall on one number: of them, the first in order of
    names keeps it.
    """
    found: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % _MOST + 1
        while number in taken:
            number = number % _MOST + 1
        found[name] = number
        taken.add(number)
    return found
