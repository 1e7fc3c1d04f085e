"""Held removals: reported in few log lines, however many Services and passes there are; and once confirmed, announced
to the agents, which would hold them as well."""

from collections.abc import Callable, Mapping

import msgspec

from lbsync import log
from lbsync.clients.source import Put, Source
from lbsync.model.records import ConfirmationRecord, HoldRecord
from lbsync.publisher.removal_guard import Hold
from lbsync.schema.confirming import LIFE_S, confirmation_key

_PAUSE_S = 10.0
"""Between two lines: a node that is lost takes its pods along within some seconds, pass by pass."""
_MOST_NAMED = 1000


class Alarm:
    """Logs what is held. Used by one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told = ""
        self._at = float("-inf")

    def tell(self, hold: str) -> None:
        """Note what is held now; empty: nothing is."""
        if hold == self._told:
            return
        if not hold:
            log.get().info("no removal of servers is held any more")
            self._told = ""
        elif not self._told or self._clock() - self._at >= _PAUSE_S:
            log.get().error(f"a removal of servers is held: {hold}")
            self._told, self._at = hold, self._clock()


def held_record(hold: Hold | None) -> HoldRecord | None:
    """Return what is held, for those who confirm it."""
    if hold is None:
        return None
    left = {name: n for loss in hold.losses.values() for name, n in loss.left.items()}
    named = sorted(left)[:_MOST_NAMED]
    return HoldRecord(hold.id, {name: left[name] for name in named}, len(left) - len(named))


def confirming(
    source: Source, hold_id: str, left: Mapping[str, int], who: str, stamp: str
) -> list[Put]:
    """Return what tells the agents that a confirmed removal is meant: one confirmation is enough for the
    whole fleet. `left`: service to the number of servers it is left with; empty: nothing to tell."""
    if not left:
        return []
    lease = source.lease(LIFE_S)
    lease.stop()
    value = msgspec.json.encode(ConfirmationRecord(dict(left), who, stamp))
    return [Put(confirmation_key(hold_id), value, lease.id)]
