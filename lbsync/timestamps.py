"""Moments as text, always in UTC: RFC 3339 for programs, plainer forms for people. Pure except for the
clock. All numbers are seconds since 1970."""

import time
from datetime import UTC, datetime

from lbsync.log import span

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def stamp(at: float | None = None, *, milliseconds: bool = False) -> str:
    """Return a moment as RFC 3339; None: now. None is later than the last one that has four digits of a year."""
    moment = datetime.fromtimestamp(time.time() if at is None else min(at, _LAST), UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Return a moment in RFC 3339, as somebody wrote it; 0.0 where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def minute(at: float) -> str:
    """Return a moment for people, to the minute: `2026-01-31 12:00 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def ago(at: float, now: float | None = None) -> str:
    """Return a moment for people: `2026-01-31 12:00:00 UTC (4 s ago)`; `never` for 0."""
    if not at:
        return "never"
    passed = (time.time() if now is None else now) - at
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC ({span(passed)} ago)"
