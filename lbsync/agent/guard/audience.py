"""Which clients a service lets in, as spans of addresses. Pure.

It tells a rule that keeps a few out from one that keeps everybody out.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

import msgspec

Spans = tuple[tuple[int, int], ...]
"""First and last address of each span, in order, none touching another."""

#: The last address of IPv4 and of IPv6.
_LAST = (2**32 - 1, 2**128 - 1)
_ALL: tuple[Spans, Spans] = (((0, _LAST[0]),), ((0, _LAST[1]),))


class Access(msgspec.Struct, frozen=True):
    """The rules of a service about who may connect."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    locked: bool = False
    """Only clients with a password."""

    @property
    def is_shut(self) -> bool:
        """Nobody is let in. If IPv4 is allowed at all, only IPv4 counts: few clients of a service that
        shuts it out could use IPv6 instead."""
        if not self.allow and not self.deny:
            return False
        granted = _spans(self.allow) if self.allow else _ALL
        return not _let_in(self)[0 if granted[0] else 1]

    def keeps_most(self, others: "Access") -> bool:
        """Tell whether more than half of the addresses that `others` let in are let in here as well, for
        IPv4 and IPv6 separately, and without a new password."""
        if self == others:
            return True
        if self.locked and not others.locked:
            return False
        if self.allow == others.allow and self.deny == others.deny:
            return True
        before, now = _let_in(others), _let_in(self)
        return all(
            2 * _size(_common(then, left)) > _size(then)
            for then, left in zip(before, now, strict=True)
            if then
        )


@lru_cache(maxsize=256)
def _let_in(access: Access) -> tuple[Spans, Spans]:
    allowed = _spans(access.allow) if access.allow else _ALL
    denied = _spans(access.deny)
    return _without(allowed[0], denied[0], _LAST[0]), _without(allowed[1], denied[1], _LAST[1])


def _spans(networks: Iterable[str]) -> tuple[Spans, Spans]:
    """Return the addresses of IPv4 and of IPv6 networks."""
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for text in networks:
        network = ipaddress.ip_network(text)
        ends = int(network.network_address), int(network.broadcast_address)
        found[network.version == 6].append(ends)
    return _joined(found[0]), _joined(found[1])


def _joined(spans: list[tuple[int, int]]) -> Spans:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return tuple(joined)


def _without(spans: Spans, holes: Spans, last: int) -> Spans:
    """Return what is left of `spans`; `last` is the last address of the family."""
    between, first = [], 0
    for begin, end in holes:
        if begin > first:
            between.append((first, begin - 1))
        first = end + 1
    if first <= last:
        between.append((first, last))
    return _common(spans, tuple(between))


def _common(one: Spans, other: Spans) -> Spans:
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def _size(spans: Spans) -> int:
    return sum(last - first + 1 for first, last in spans)
