"""What the owner of an object is told, as a record beside the wanted state. Pure."""

import msgspec

from lbsync.decoders import decode
from lbsync.errors import BadKey
from lbsync.model.publishing import ReportRecord
from lbsync.publisher.store.diff import Change
from lbsync.publisher.store.index import Held
from lbsync.schema.publishing import read


def change(key: str, report: ReportRecord, held: Held | None, now: str) -> Change | None:
    """Return how to bring the stored report to `report`; None: nothing to do.

    A report that says nothing has no key. `now` (RFC 3339) becomes its `since`, unless the same
    was said before.
    """
    if not report.sentences:
        return Change(key, held, None) if held is not None else None
    before = stored(held)
    if before is not None and msgspec.structs.replace(before, since="") == report:
        return None
    since = before.since if before is not None and before.refused == report.refused != "" else now
    value = msgspec.json.encode(msgspec.structs.replace(report, since=since))
    return Change(key, held, value)


class Said(msgspec.Struct, frozen=True):
    """One sentence for the owner of an object."""

    sentence: str
    is_refusal: bool


def news(found: Change) -> tuple[Said, ...]:
    """Return what a change says that was not said before."""
    if found.after is None:
        return ()
    now = decode(found.after, ReportRecord)
    before = stored(found.before)
    known = set(before.sentences) if before is not None else set()
    fresh = (sentence for sentence in now.sentences if sentence not in known)
    return tuple(Said(sentence, sentence == now.refused) for sentence in fresh)


def stored(held: Held | None) -> ReportRecord | None:
    """Return a stored report; None if there is none that can be read."""
    if held is None:
        return None
    try:
        return read(ReportRecord, held.item)
    except BadKey:
        return None
