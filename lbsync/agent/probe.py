"""May HAProxy bind the addresses that a configuration adds? Asked before the reload.

A reload that cannot bind makes all frontends refuse connections for two seconds (measured on 2.6
and 2.8), and one whose port is shared by SO_REUSEPORT succeeds and loses half of the connections.
"""

import errno
import socket
from collections.abc import Iterable, Sequence

from lbsync.agent.directives import Bind

_ANY_V4 = "*"
_ANY_V6 = "::"


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
    """Return the TCP binds that no bind of `known` holds already, in part or whole."""
    by_port: dict[int, list[Bind]] = {}
    for bind in known:
        by_port.setdefault(bind.port, []).append(bind)
    return [
        bind
        for bind in wanted
        if bind.kind == "tcp"
        and bind.port
        and bind.address
        and not any(overlap(held, bind) for held in by_port.get(bind.port, ()))
    ]


def obstacle(bind: Bind) -> str:
    """Return why HAProxy could not have this address to itself; empty when nothing is in the way.

    Also empty where it cannot be told from here: without the right to bind low ports, say. Binds
    with SO_REUSEADDR, as HAProxy does, but never with SO_REUSEPORT, which would succeed beside
    another process that uses it too.
    """
    address = "0.0.0.0" if bind.address == _ANY_V4 else bind.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not bind.both_families)
            probe.bind((address, bind.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"{_shown(bind)} is taken by another process; see `ss -ltnp`"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{_shown(bind)} is no address of this host"
    return ""


def _shown(bind: Bind) -> str:
    return f"[{bind.address}]:{bind.port}" if ":" in bind.address else f"{bind.address}:{bind.port}"
