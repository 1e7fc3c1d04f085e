"""Can HAProxy bind the addresses that a configuration adds? Checked before the reload.

A reload that cannot bind makes all frontends refuse connections for two seconds (measured on 2.6
and 2.8), and one whose port is shared by SO_REUSEPORT succeeds and loses half of the connections.
"""

import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from lbsync.agent.haproxycfg.parser import Bind

_ANY_V4 = "*"
_ANY_V6 = "::"
_RIGHTS = {errno.EACCES, errno.EPERM}
"""The agent has no right to it; HAProxy, with other rights as a rule, may have."""
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""The agent itself has run out of something."""


def _no_listeners() -> list[Bind]:
    return []


class Ports(msgspec.Struct, frozen=True):
    """What is known of this host's ports: of TCP, where it does not say otherwise."""

    in_use: frozenset[int] = frozenset()
    """Those that HAProxy is seen to listen on."""
    udp_in_use: frozenset[int] = frozenset()
    """Ports of UDP that HAProxy is seen to have."""
    low: bool | None = None
    """HAProxy may bind ports below `first_free`; None: unknown."""
    first_free: int = 0
    """The lowest unprivileged port (sysctl `net.ipv4.ip_unprivileged_port_start`)."""
    past: Mapping[int, str] = {}
    """Ports that other programs of this host listened on, and when last, without those that the settings
    give to lbsync."""
    listeners: Callable[[], Iterable[Bind]] = _no_listeners
    """Returns all listening sockets of the host, for addresses that the agent may not bind."""


def overlap(one: Bind, other: Bind) -> bool:
    """Tell whether a socket on `one` keeps a plain socket from binding `other`."""
    if one.kind != other.kind or one.port != other.port or one.port == 0:
        return False
    if one.address == other.address:
        return True
    families = (":" in one.address, ":" in other.address)
    if families[0] != families[1]:
        return one.both_families or other.both_families
    return _ANY_V4 in (one.address, other.address) or _ANY_V6 in (one.address, other.address)


def added(wanted: Iterable[Bind], known: Sequence[Bind]) -> list[Bind]:
    """Return the binds of TCP and UDP that do not overlap with any of `known`."""
    by_port: dict[int, list[Bind]] = {}
    for bind in known:
        by_port.setdefault(bind.port, []).append(bind)
    return [
        bind
        for bind in wanted
        if bind.kind in ("tcp", "udp")
        and bind.port
        and bind.address
        and not any(overlap(in_use, bind) for in_use in by_port.get(bind.port, ()))
    ]


def obstacle(bind: Bind, ports: Ports) -> str:
    """Return why HAProxy could not have this address to itself; empty: nothing is in the way, as far as
    the agent can tell.

    It binds with SO_REUSEADDR, as HAProxy does, but never with SO_REUSEPORT, which would succeed beside
    another process that uses it too.
    """
    if bind.port < ports.first_free and ports.low is False:
        return (
            f"{_shown(bind)} cannot be bound: HAProxy has no right to ports below {ports.first_free}; "
            "give it CAP_NET_BIND_SERVICE, or choose another port"
        )
    number, words = _try(bind)
    if bind.kind == "udp":
        ports = Ports()
    if number == errno.EADDRINUSE or (
        number in _RIGHTS and any(overlap(one, bind) for one in ports.listeners())
    ):
        see = "ss -lunp" if bind.kind == "udp" else "ss -ltnp"
        return f"{_shown(bind)} is taken by another process; see `{see}`"
    if day := ports.past.get(bind.port):
        return (
            f"port {bind.port} is another program's of this host, which was last seen there on {day}; choose "
            "another, or let the operator name this port alone in [claims] listen"
        )
    if number == errno.EADDRNOTAVAIL:
        return f"{_shown(bind)} is no address of this host"
    if number in _RIGHTS or number in _OURS or number <= 0:
        return ""
    return f"{_shown(bind)} cannot be bound: {words}"


def _try(bind: Bind) -> tuple[int, str]:
    """Bind for a moment; return errno and text of the failure, 0 if there was none."""
    address = "0.0.0.0" if bind.address == _ANY_V4 else bind.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    is_udp = bind.kind == "udp"
    try:
        with socket.socket(family, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as probe:
            # For UDP that would mean what SO_REUSEPORT means for TCP (socket(7)).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not is_udp)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not bind.both_families)
            probe.bind((address, bind.port))
    except OSError as error:
        return error.errno or 0, error.strerror or str(error)
    return 0, ""


def _shown(bind: Bind) -> str:
    place = f"[{bind.address}]" if ":" in bind.address else bind.address
    return f"{place}:{bind.port}{' (UDP)' if bind.kind == 'udp' else ''}"
