"""Percentiles, and a table that says whether a limit was kept."""

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """Return the value that 99 % do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * 99 // 100) - 1))]


def row(what: str, figure: str, limit: str = "", kept: bool | None = None) -> None:
    """Print one line: what was measured, the figure, the limit, and whether it was kept."""
    verdict = "" if kept is None else ("kept" if kept else "NOT KEPT")
    print(f"{what:58} {figure:>28}  {limit:28} {verdict}", flush=True)
