"""How many of something, in words."""

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """Return `1 service`, `2 services`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_few(things: Sequence[object], most: int, between: str = ", ") -> str:
    """Return the first `most` of them, and how many more there are: `a, b and 3 more`."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return between.join(map(str, things[:most])) + more
