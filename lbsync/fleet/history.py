"""Note who did what, when and from where, beside the change itself.

An entry is written in the transaction of the change, so neither is there without the other; the oldest go with
it, so there are never many more than `MOST`.
"""

import secrets
from collections.abc import Sequence

from lbsync.clients.source import Delete, Guard, Put, Source
from lbsync.errors import Unavailable
from lbsync.model.orders import HistoryRecord
from lbsync.schema.decode import encode
from lbsync.schema.orders import HISTORY
from lbsync.schema.reading import one_line
from lbsync.timestamps import stamp

MOST = 500
"""Entries that are kept: together 150 kB or so, which every agent holds in memory."""
_GO_AT_ONCE = 20
_MOST_TEXT = 300

Ops = Sequence[Put | Delete]


def entry(
    source: Source, by: str, action: str, what: str = "", detail: str = "", *, host: str = ""
) -> list[Put | Delete]:
    """Return the writes that note something; see `HistoryRecord`. Raises `Unavailable`."""
    at = stamp(milliseconds=True)
    by, action, what, detail = (one_line(text, _MOST_TEXT) for text in (by, action, what, detail))
    record = HistoryRecord(at, by, action, what, detail, host)
    put = Put(f"{HISTORY}{at}-{secrets.token_hex(3)}", encode(record))
    return [put, *too_many(source)]


def too_many(source: Source) -> list[Delete]:
    """Return the removal of entries that make room for one more. Raises `Unavailable`."""
    known = sorted(source.below(HISTORY))
    return [Delete(key) for key in known[: max(0, len(known) + 1 - MOST)][:_GO_AT_ONCE]]


def commit(source: Source, expect: Sequence[Guard], ops: Ops, *extras: Ops) -> int:
    """Do all `ops` at one revision, and of `extras`, each some writes of the same kind, as many as this user
    of etcd has the right to: the last ones are left out first. Return the revision.

    Raises what `Source.commit` does.
    """
    for left in _subsets(extras):
        try:
            return source.commit(expect, [*ops, *(op for extra in left for op in extra)])
        except Unavailable as error:
            if not left or not is_denied(error):
                raise
    return source.commit(expect, ops)


def is_denied(error: Unavailable) -> bool:
    """Tell whether etcd refused this user the right to write there."""
    return "permission denied" in str(error)


def note(
    source: Source, by: str, action: str, what: str = "", detail: str = "", *, host: str = ""
) -> None:
    """Write an entry by itself; not being allowed to is no fault. Raises `Unavailable` else."""
    try:
        source.commit([], entry(source, by, action, what, detail, host=host))
    except Unavailable as error:
        if not is_denied(error):
            raise


def _subsets(extras: Sequence[Ops]) -> list[tuple[Ops, ...]]:
    """Return all choices of `extras` in order, larger ones first, those without the last before those
    without the first."""
    numbers = range(2 ** len(extras))
    choices = [
        tuple(extra for at, extra in enumerate(extras) if not number >> (len(extras) - 1 - at) & 1)
        for number in numbers
    ]
    return sorted(choices, key=len, reverse=True)
