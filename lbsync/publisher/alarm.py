"""That removals are held: told in few lines, however many Services and passes it takes."""

from collections.abc import Callable

from lbsync import log
from lbsync.model.records import HoldRecord
from lbsync.publisher.brake import Hold

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
        """Take note of what is held now; empty: nothing is."""
        if hold == self._told:
            return
        if not hold:
            log.get().info("no removal of servers is held back any more")
            self._told = ""
        elif not self._told or self._clock() - self._at >= _PAUSE_S:
            log.get().error(f"a removal of servers is held back: {hold}")
            self._told, self._at = hold, self._clock()


def held_record(hold: Hold | None) -> HoldRecord | None:
    """Return what is held, for those who confirm it."""
    if hold is None:
        return None
    named = sorted(hold.losses)[:_MOST_NAMED]
    left = {service: hold.losses[service].after for service in named}
    return HoldRecord(hold.id, left, len(hold.losses) - len(named))
