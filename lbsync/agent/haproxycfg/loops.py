"""Servers that are HAProxy itself: a request to one would loop until a limit is reached. Pure.

Loopback is not allowed by default (`[claims] servers`), so loops there are refused with their key. A host's
other addresses differ on each host, and are valid for other programs beside HAProxy; they are only refused
together with a port on which HAProxy listens there.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

import msgspec

from lbsync.agent.haproxycfg.parser import Bind
from lbsync.model.desired import Service

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_EVERYWHERE = frozenset(("*", "0.0.0.0", "::"))


class Loop(msgspec.Struct, frozen=True):
    """A server at which HAProxy listens."""

    service: str
    """`<ns>/<name>`."""
    backend: str
    reason: str
    """One sentence with the cure."""


class Loops:
    """Where HAProxy listens on this host."""

    def __init__(
        self,
        binds: Iterable[Bind],
        own_addresses: Callable[[], frozenset[str]],
        last: "Loops | None" = None,
    ) -> None:
        """`own_addresses` returns the addresses of this host's interfaces; asked once, and only if a
        server has the port of a bind. `last`: what was asked before; of ten thousand services only those are
        looked at that are new since, as long as HAProxy listens at the same ports."""
        self._own_addresses = own_addresses
        self._places: dict[int, set[str]] = {}
        for bind in binds:
            if bind.kind == "tcp" and bind.port:
                self._places.setdefault(bind.port, set()).add(bind.address)
        is_alike = last is not None and last._places.keys() == self._places.keys()
        self._last = last._clear if last is not None and is_alike else frozenset()
        self._clear: frozenset[Service] = frozenset()
        """Services of which no server has a port of these; they compare by identity."""

    def of(self, services: Collection[Service]) -> Iterator[Loop]:
        """Yield the first such server of each backend."""
        every = frozenset(services)
        doubtful = {each for each in every - self._last if self._has_port(each)}
        self._clear = every - doubtful
        yield from self._among(each for each in services if each in doubtful)

    def _has_port(self, service: Service) -> bool:
        ports = self._places.keys()
        return any(server.port in ports for each in service.backends for server in each.servers)

    def _among(self, services: Iterable[Service]) -> Iterator[Loop]:
        for service in services:
            for backend in service.backends:
                for server in backend.servers:
                    if server.port in self._places and self._is_here(server.address, server.port):
                        yield Loop(
                            service.id,
                            backend.name,
                            f"server {server.name} is at {server.address} port {server.port}, where "
                            "HAProxy itself listens on this host: requests would go round in circles; "
                            "give the address and port of the server",
                        )
                        break

    @cached_property
    def _own(self) -> frozenset[str]:
        return self._own_addresses()

    def _is_here(self, address: str, port: int) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False  # a name: where it leads to is not known
        places = self._places[port]
        text = str(ip)
        if text in places:
            return True
        return bool(places & _EVERYWHERE) and (
            text in self._own or any(ip in network for network in _LOOPBACK)
        )
