"""Which TCP sockets of this host listen, whoever they belong to: /proc/net/tcp and tcp6 (proc(5))."""

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lbsync.deferred import Deferred

if TYPE_CHECKING:
    import psutil
else:
    psutil = Deferred("psutil")  # 15 ms

_LISTEN, _ESTABLISHED = "0A", "01"
_FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def first_free_port() -> int:
    """Return the lowest port that every process may bind; 1024 where it cannot be read."""
    try:
        return int(_FIRST_FREE.read_text())
    except (OSError, ValueError):
        return 1024


def own_addresses() -> frozenset[str]:
    """Return the IP addresses of this host's interfaces."""
    found = (each.address for of_one in psutil.net_if_addrs().values() for each in of_one
             if each.family in (socket.AF_INET, socket.AF_INET6))  # fmt: skip
    return frozenset(address.partition("%")[0] for address in found)


def listening() -> list[tuple[str, int]]:
    """Return address and port of each; `*` and `::` for the wildcards. Nothing where it cannot be read."""
    found = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), Path("/proc/net", table).open() as lines:
            found += list(parse(lines))
    return found


def parse(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the listening sockets of one table; lines that read otherwise are passed over.

    Linux lists those that listen before all others (net/ipv4/tcp_ipv4.c, `tcp_seq_next`); a busy balancer has
    a hundred thousand of the others, so the first established one ends it.
    """
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[3] == _ESTABLISHED:
            return
        if len(words) > 3 and words[3] == _LISTEN:
            address, _, port = words[1].rpartition(":")
            with contextlib.suppress(ValueError):
                yield _address(address), int(port, 16)


def _address(text: str) -> str:
    """Read words of 32 bits, each in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    data = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    found = str(ipaddress.ip_address(data))
    return "*" if found == "0.0.0.0" else found
