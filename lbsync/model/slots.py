"""How traffic is split by weight: into slots, of which each request draws one. Pure."""

from math import gcd

MAX_SLOTS = 1000
"""Above this many slots, each a map line, shares are rounded to a thousandth."""


def slot_counts(shares: dict[str, int]) -> dict[str, int]:
    """Turn weights into numbers of slots: exact if `MAX_SLOTS` are enough, else rounded to about that
    many, at least one for each group."""
    unit = gcd(*shares.values())
    exact = {group: share // unit for group, share in shares.items()}
    total = sum(exact.values())
    if total <= MAX_SLOTS:
        return exact
    return {group: max(1, round(share * MAX_SLOTS / total)) for group, share in exact.items()}
