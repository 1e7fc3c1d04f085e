"""Compares what HAProxy runs with the configuration, and decides nothing. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from lbsync.agent.haproxycfg.config import Config
from lbsync.agent.haproxycfg.inheritance import Bases
from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.clients.haproxy.answers import MapState, ServerState

# Not bit 4, "maint by configuration": it stays when a command has ended that maintenance (measured).
_MAINT = 1
_DRAIN = 8
_DEFAULT_WEIGHT = 1


class Mismatch(msgspec.Struct, frozen=True):
    """One difference between what was wanted and what runs."""

    where: str
    """`backend/server`, or the map's file."""
    field: str
    """`server`, `address`, `port`, `weight`, `state` or `entries`."""
    wanted: str
    running: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field} is {self.running}, wanted {self.wanted}"


def differences(
    config: Config,
    files: Mapping[str, bytes],
    servers: Sequence[ServerState],
    maps: Sequence[MapState],
) -> list[Mismatch]:
    """Return every difference between a configuration and what HAProxy says it runs.

    `files` is path to content of the generation, for the number of entries of each map. Addresses
    given by name are not compared: HAProxy resolves them by itself. Health is not compared either.
    """
    return [*_servers(config, servers), *_maps(files, maps)]


def _servers(config: Config, servers: Sequence[ServerState]) -> Iterator[Mismatch]:
    running = {(state.backend, state.name): state for state in servers}
    bases = Bases(config.placed)
    for placed in config.of("backend", "listen"):
        section = placed.section
        base = bases.of(section)
        for server in section.servers:
            state = running.pop((section.name, server.name), None)
            if state is None:
                yield Mismatch(f"{section.name}/{server.name}", "server", "present", "absent")
            elif not same(server, state, base):
                yield from compare(server, state, base)
    for backend, name in running:
        yield Mismatch(f"{backend}/{name}", "server", "absent", "present")


def same(server: Server, state: ServerState, base: Section | None) -> bool:
    """Tell cheaply whether a server is as configured, in the common case that everything is written out."""
    return (
        server.address == state.address
        and server.port == state.port
        and state.admin_state == 0
        and weight_of(server, base) == state.weight
        and not is_disabled(server, base)
    )


def compare(server: Server, state: ServerState, base: Section | None) -> Iterator[Mismatch]:
    """Yield what differs between a server line and the server that runs under its name."""
    where = f"{state.backend}/{state.name}"
    if is_ip(server.address) and not equal_ips(server.address, state.address):
        yield Mismatch(where, "address", server.address, state.address)
    if server.port and server.port != state.port:
        yield Mismatch(where, "port", str(server.port), str(state.port))
    if (weight := weight_of(server, base)) != state.weight:
        yield Mismatch(where, "weight", str(weight), str(state.weight))
    wanted = "maint" if is_disabled(server, base) else "up"
    if wanted != (now := admin(state.admin_state)):
        yield Mismatch(where, "state", wanted, now)


def weight_of(server: Server, base: Section | None) -> int:
    """Return the weight a server line asks for; `base` is the `defaults` section of its proxy."""
    if server.weight is not None:
        return server.weight
    return base.weight if base and base.weight is not None else _DEFAULT_WEIGHT


def is_disabled(server: Server, base: Section | None) -> bool:
    """Tell whether a server line asks for maintenance."""
    if server.disabled is not None:
        return server.disabled
    return bool(base and base.disabled_servers)


def admin(bits: int) -> str:
    """Return `maint`, `drain` or `up` for `ServerState.admin_state`."""
    if bits & _MAINT:
        return "maint"
    return "drain" if bits & _DRAIN else "up"


@lru_cache(maxsize=1 << 14)
def is_ip(text: str) -> bool:
    """Tell an address from a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def equal_ips(one: str, other: str) -> bool:
    """Compare two addresses, `one` being one for sure, however they are written."""
    return is_ip(other) and ipaddress.ip_address(one) == ipaddress.ip_address(other)


def _maps(files: Mapping[str, bytes], maps: Sequence[MapState]) -> Iterator[Mismatch]:
    for state in maps:
        data = files.get(state.file)
        if data is not None and state.entries >= 0 and (count := entries(data)) != state.entries:
            yield Mismatch(state.file, "entries", str(count), str(state.entries))


def entries(data: bytes) -> int:
    """Count the entries HAProxy makes of a map file; a repeated key counts each time (measured)."""
    lines = (line.strip() for line in data.split(b"\n"))
    return sum(1 for line in lines if line and not line.startswith(b"#"))
