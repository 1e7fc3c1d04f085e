"""What the publishers of Kubernetes Services report, for `lbsync status`."""

import time
from collections.abc import Iterator

from lbsync import verdict
from lbsync.cli.context import source_opened
from lbsync.cli.terminal import Colour, Terminal, to_json
from lbsync.errors import Exit, LbsyncError
from lbsync.published import describe, is_old, sentences
from lbsync.schema.publishing import ROOT, Known, known
from lbsync.settings import Settings

#: Of many reports a host's own status shows only how many there are; `--publishers` shows all.
_MOST = 10
Row = tuple[str, str, Colour | None]


def rows(settings: Settings) -> Iterator[Row]:
    """Yield what belongs into a host's status; nothing where nobody publishes."""
    try:
        clusters = read(settings)
    except LbsyncError as error:  # also where this user may not read what etcd asks for
        yield "publishers", f"unknown: {error}", "yellow"
        return
    for found in clusters.values():
        text, is_well = describe(found, time.time())
        yield "publisher", f"{found.cluster}: {text}", None if is_well else "yellow"
        said = list(sentences(found))
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
            text, is_well = describe(found, time.time())
            terminal.line(f"{found.cluster}: {text if is_well else terminal.paint(text, 'yellow')}")
            for sentence in sentences(found):
                terminal.line(f"  {terminal.paint(sentence, 'yellow')}")
    if not clusters:
        return Exit.UNAVAILABLE
    return verdict.gravest(map(_code, clusters.values()))


def _code(found: Known) -> Exit:
    beat = found.heartbeat
    if found.leader is None or beat is None or beat.kubernetes or is_old(beat, time.time()):
        return Exit.UNAVAILABLE
    is_wrong = beat.refused or beat.held or beat.conflicts or beat.unread
    return Exit.REJECTED if is_wrong else Exit.OK


def read(settings: Settings) -> dict[str, Known]:
    """Return what all publishers say, by cluster. Raises `Unavailable`."""
    with source_opened(settings) as source:
        return known(source.below(ROOT))
