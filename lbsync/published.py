"""What the publishers of Kubernetes Services say of themselves, in sentences for people. Pure."""

from collections.abc import Iterator

from lbsync.log import span
from lbsync.model.publishing import HeartbeatRecord, unread_sentence
from lbsync.schema.publishing import Known
from lbsync.timestamps import seconds
from lbsync.values.plural import first_few

_MOST_NAMED = 3
_LATE = 3
"""A heartbeat that is this many times as old as it should get is doubted."""


def is_old(beat: HeartbeatRecord, now: float) -> bool:
    """Tell whether a heartbeat is too old to be believed. `now`: seconds since 1970."""
    at = seconds(beat.synced_at)
    return not at or (beat.every > 0 and now - at > _LATE * beat.every)


def describe(found: Known, now: float, *, ages: bool = True) -> tuple[str, bool]:
    """Return how one cluster's publishers do, and whether that is well. `now`: seconds since 1970; `ages`
    false: without saying how long ago they were in step."""
    beat, leader = found.heartbeat, found.leader
    if leader is None and beat is None:
        return "no publisher is running; what it published stays as it was", False
    if leader is None:
        return "no publisher leads right now", False
    if beat is None:
        return f"led by {leader.identity}, which has not published yet", False
    at = seconds(beat.synced_at)
    synced = "not in step yet" if not at else f"in step {span(now - at)} ago" if ages else "in step"
    text = f"{beat.services} published, {synced}, led by {leader.identity}"
    counts = [
        f"{number} {word}"
        for number, word in (
            (beat.refused, "refused"),
            (beat.held, "held"),
            (beat.conflicts, "in conflict"),
        )
        if number
    ]
    if counts:
        text += f"; {', '.join(counts)}"
    if beat.kubernetes:
        text += f"; Kubernetes is not watched: {beat.kubernetes}"
    if beat.unread:
        text += f"; not read: {first_few(sorted(beat.unread), _MOST_NAMED)}"
    is_wrong = beat.kubernetes or beat.refused or beat.held or beat.conflicts or beat.unread
    return text, not (is_old(beat, now) or is_wrong)


def sentences(found: Known) -> Iterator[str]:
    """Yield everything that is told to somebody, one sentence each."""
    if (beat := found.heartbeat) is not None:
        yield from filter(None, (beat.hold_sentence,))
        yield from (unread_sentence(*one) for one in sorted(beat.unread.items()))
        yield from beat.notices
    for _, report in sorted(found.reports.items()):
        for sentence in report.sentences:
            yield f"{sentence} (since {report.since})" if report.since else sentence
