"""Ids of servers that clients are spread over by a hash. Pure.

A consistent hash places a server by its `id`, and HAProxy numbers servers by their order (configuration
manual, "hash-type" and "id"): one that goes would move the clients of all that stand after it, at the
next reload, and hosts with another history would send a client elsewhere. So the id comes from the name.
"""

import hashlib
from collections.abc import Iterable

BALANCES = frozenset(("source", "uri"))
_MOST = (1 << 31) - 1


def ids(names: Iterable[str]) -> dict[str, int]:
    """Return a number from 1 to 2^31 - 1 for each name, no two alike.

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
