"""What the publishers of Kubernetes Services say of themselves, for `lbsync status`."""

import time
from collections.abc import Iterator

from lbsync import verdict
from lbsync.cli.context import source_opened
from lbsync.cli.terminal import Colour, Terminal, to_json
from lbsync.errors import Exit, LbsyncError
from lbsync.log import span
from lbsync.model.publishing import HeartbeatRecord, unread_sentence
from lbsync.schema.publishing import ROOT, Known, known
from lbsync.settings import Settings
from lbsync.timestamps import seconds

#: Of many reports a host's own status shows only how many there are; `--publishers` shows all.
_MOST = 10
_MOST_NAMED = 3
Row = tuple[str, str, Colour | None]


def rows(settings: Settings) -> Iterator[Row]:
    """Yield what belongs into a host's status; nothing where nobody publishes."""
    try:
        clusters = read(settings)
    except LbsyncError as error:  # also where this user may not read what etcd asks for
        yield "publishers", f"unknown: {error}", "yellow"
        return
    for found in clusters.values():
        text, is_well = describe(found)
        yield "publisher", f"{found.cluster}: {text}", None if is_well else "yellow"
        said = list(_sentences(found))
        for sentence in said[:_MOST]:
            yield "report", sentence, "yellow"
        if len(said) > _MOST:
            more = f"{len(said) - _MOST} more of {found.cluster}: see 'lbsync status --publishers'"
            yield "report", more, "yellow"


def show(settings: Settings, *, as_json: bool) -> Exit:
    """Print everything that publishers say. Raises `Unavailable`."""
    clusters = read(settings)
    terminal = Terminal()
    if as_json:
        terminal.block(to_json(clusters))
    elif not clusters:
        terminal.line(f"nobody publishes below {settings.prefix}{ROOT}")
    else:
        for found in clusters.values():
            text, is_well = describe(found)
            terminal.line(f"{found.cluster}: {text if is_well else terminal.paint(text, 'yellow')}")
            for sentence in _sentences(found):
                terminal.line(f"  {terminal.paint(sentence, 'yellow')}")
    if not clusters:
        return Exit.UNAVAILABLE
    return verdict.gravest(map(_code, clusters.values()))


def _code(found: Known) -> Exit:
    beat = found.heartbeat
    if found.leader is None or beat is None or beat.kubernetes or _is_old(beat, time.time()):
        return Exit.UNAVAILABLE
    is_wrong = beat.refused or beat.held or beat.conflicts or beat.unread
    return Exit.REJECTED if is_wrong else Exit.OK


def _is_old(beat: HeartbeatRecord, now: float) -> bool:
    at = seconds(beat.synced_at)
    return not at or (beat.every > 0 and now - at > 3 * beat.every)


def read(settings: Settings) -> dict[str, Known]:
    """Return what all publishers say, by cluster. Raises `Unavailable`."""
    with source_opened(settings) as source:
        return known(source.below(ROOT))


def describe(found: Known, now: float | None = None) -> tuple[str, bool]:
    """Return how one cluster's publishers do, and whether that is well. `now`: seconds since 1970."""
    beat, leader = found.heartbeat, found.leader
    if leader is None and beat is None:
        return "no publisher is running; what it published stays as it was", False
    if leader is None:
        return "no publisher leads right now", False
    if beat is None:
        return f"led by {leader.identity}, which has not published yet", False
    now = time.time() if now is None else now
    at = seconds(beat.synced_at)
    synced = f"in step {span(now - at)} ago" if at else "not in step yet"
    text = f"{beat.services} published, {synced}, led by {leader.identity}"
    counts = [
        f"{number} {word}"
        for number, word in (
            (beat.refused, "refused"),
            (beat.held, "held back"),
            (beat.conflicts, "in conflict"),
        )
        if number
    ]
    if counts:
        text += f"; {', '.join(counts)}"
    if beat.kubernetes:
        text += f"; Kubernetes is not watched: {beat.kubernetes}"
    if beat.unread:
        named = ", ".join(sorted(beat.unread)[:_MOST_NAMED])
        more = (
            f" and {len(beat.unread) - _MOST_NAMED} more" if len(beat.unread) > _MOST_NAMED else ""
        )
        text += f"; not read: {named}{more}"
    is_wrong = beat.kubernetes or beat.refused or beat.held or beat.conflicts or beat.unread
    return text, not (_is_old(beat, now) or is_wrong)


def _sentences(found: Known) -> Iterator[str]:
    if (beat := found.heartbeat) is not None:
        yield from filter(None, (beat.hold_sentence,))
        yield from (unread_sentence(*one) for one in sorted(beat.unread.items()))
        yield from beat.notices
    for _, report in sorted(found.reports.items()):
        for sentence in report.sentences:
            yield f"{sentence} (since {report.since})" if report.since else sentence
