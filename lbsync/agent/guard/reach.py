"""How many servers of a service can get requests, and how many would no longer. Pure.

Not only a removal takes servers away: a weight of 0, `maint` and `drain`, a route to another group, other
hosts or another port, and a `deny` for everybody all leave a server without requests.
"""

from typing import TypeVar

import msgspec

from lbsync.agent.guard.audience import Access
from lbsync.model.desired import Desired, Service
from lbsync.model.records import GlobalRecord, ServerRecord, ServiceRecord

T = TypeVar("T")
#: Limits of places and ways, and of rules, that are kept apart over time.
_MOST = 10_000
_MOST_RULES = 8
Place = tuple[str, int]
"""Address and port of a server."""


class Reach(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What one service's clients reach."""

    servers: int
    """How many can get requests."""
    places: frozenset[Place]
    """Their addresses and ports."""
    ready: frozenset[Place]
    """Those of all servers in the keys, also in groups without traffic."""
    ways: frozenset[str]
    """What leads to the service: keys of the route map, or a port."""
    access: tuple[Access, ...]
    """Who is let in; several where different times are merged."""
    source: str = ""
    """Who wrote the service."""

    def is_like(self, other: "Reach") -> bool:
        """Tell whether the same clients reach the same."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__struct_fields__)

    def most(self, other: "Reach") -> "Reach":
        """Return the union: what could be reached at one time or another."""
        return Reach(
            max(self.servers, other.servers),
            _either(self.places, other.places),
            _either(self.ready, other.ready),
            _either(self.ways, other.ways),
            tuple(dict.fromkeys((*self.access, *other.access)))[:_MOST_RULES],
            self.source,
        )


NOWHERE = Reach(0, frozenset(), frozenset(), frozenset(), ())


class Loss(msgspec.Struct, frozen=True, gc=False):
    """How many servers no longer get the requests they got."""

    gone: int = 0
    """They get none at all."""
    strange: int = 0
    """They get other ones: from other hosts or fewer clients, or the servers are untried."""


def takes(server: ServerRecord) -> bool:
    """Tell whether a server gets new requests if its group does."""
    return server.state == "up" and server.weight > 0


def reach(service: Service, like: tuple[Service, Reach] | None = None) -> Reach:
    """Return what can be reached of a service. `like`: an older version and its result."""
    record = service.record
    access = access_of(record)
    busy = {choice.backend for choice in service.choices}
    taking: list[Place] = []
    ready: list[Place] = []
    for backend in service.backends:
        places: list[Place] = [(server.address, server.port) for server in backend.servers]
        ready += places
        if backend.name in busy:
            taking += (place for place, s in zip(places, backend.servers, strict=True) if takes(s))
    if record.mode == "tcp":
        ways = frozenset((f"port {record.listen}",))
    elif like is not None and like[0].routes is service.routes:
        ways = like[1].ways
    else:
        ways = frozenset(service.open_routes)
    if not ways or access.is_shut:
        taking = []
    source = record.source if isinstance(record.source, str) else ""
    # Nearly always the same ones, and each is kept for as long as `guard_window`.
    all_ready = frozenset(ready)
    all_taking = all_ready if len(taking) == len(ready) else frozenset(taking)
    return Reach(len(taking), all_taking, all_ready, ways, (access,), source)


def access_of(record: ServiceRecord) -> Access:
    """Return who is let in to a service."""
    return Access(record.allow, record.deny, not isinstance(record.auth, msgspec.UnsetType))


def loss(before: Reach, now: Reach, known: bool) -> Loss:
    """Return what is lost of `before`. `known`: some of the servers that take requests now did so, or were
    ready, before."""
    gone = max(0, before.servers - now.servers)
    kept = now.servers
    if kept and before.ways:
        common = len(now.ways & before.ways) if now.ways is not before.ways else len(now.ways)
        # Rounded up, in the service's favour.
        kept = min(kept, -(-before.servers * common // len(before.ways)))
    if kept and not (known and all(now.access[0].keeps_most(each) for each in before.access)):
        kept = 0
    return Loss(gone, max(0, before.servers - kept) - gone)


def cut_off(desired: Desired, before: GlobalRecord, *, ends_tls: bool, in_front: bool) -> set[str]:
    """Return the services that clients can no longer reach because of `settings/global`.

    `disabled` takes TLS away where HAProxy terminates it (`ends_tls`). `only` redirects plain requests to
    TLS, which only HAProxy or a balancer `in_front` can terminate.
    """
    https = desired.settings.https
    if https == before.https or https != ("disabled" if ends_tls else "only"):
        return set()
    if in_front and not ends_tls:
        return set()
    return {
        service.id
        for service in desired.services
        if service.record.mode == "http" and (ends_tls or _follows(service.record.redirect.https))
    }


def _follows(redirect: bool | msgspec.UnsetType) -> bool:
    return isinstance(redirect, msgspec.UnsetType)


def _either(one: frozenset[T], other: frozenset[T]) -> frozenset[T]:
    if one is other or other <= one:
        return one
    if one <= other:
        return other
    # A writer of ever new values must not fill the memory.
    return one | other if len(one) + len(other) <= _MOST else one
