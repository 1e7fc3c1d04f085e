"""How a watch, or all of them together, does right now."""

import logging
import time
from collections.abc import Callable

import msgspec

from lbsync import log
from lbsync.clients.kube.availability import LineLimit
from lbsync.clients.kube.errors import Unauthorized
from lbsync.clients.kube.timing import Timing
from lbsync.errors import Rejected

_MOST_NAMED = 3
_MOST_EMPTY = 3
"""Streams in a row that ended at once and without an event, until they are not believed."""


class Health(msgspec.Struct, frozen=True):
    """What is known of it."""

    ok: bool
    """True while the watch is open and the server was heard lately."""
    detail: str
    """One sentence: what is watched, or why not."""
    since: float
    """`time.time()` of the last change of `ok`."""


class WatchHealth:
    """What one watch says of itself, to who asks and in the log. Written by the watch's thread."""

    def __init__(
        self,
        resource: str,
        timing: Timing,
        on_change: Callable[[], None],
        lines: LineLimit,
        *,
        is_needed: bool,
    ) -> None:
        """`on_change` is called when the watch works again or no longer, and when the server begins to
        refuse it. `lines` is shared by all watches of one server. `is_needed`: false where nothing goes
        wrong without it, so that only the debug log tells."""
        self._resource = resource
        self._timing = timing
        self._lines = lines
        self._on_change = on_change
        self.now = Health(ok=False, detail=f"{resource}: not listed yet", since=time.time())
        self.changed_at = 0.0
        """When `now` was last said anew (monotonic): the newest of several reasons is the true one."""
        self.refusal = ""
        """Why the server refuses this account (403), or has nothing of the kind (404), said twice in a
        row; empty: it does not. What is known stays in the store meanwhile."""
        self._refusals = 0
        self._empty_in_a_row = 0
        level = logging.ERROR if is_needed else logging.DEBUG
        first, last = timing.refused, timing.away_reminder
        self._failing = log.Failing(
            "cannot watch", "watching again", level=level, reminders=(first, last)
        )
        self._useless = log.Failing(
            "the watch says nothing of use", "the watch is of use again",
            level=logging.ERROR, reminders=(last, last),
        )  # fmt: skip

    def opened(self, version: str) -> None:
        """The stream is open, from this resourceVersion on."""
        self._refusals, self.refusal = 0, ""
        self._set(True, f"{self._resource}: watched from version {version}")
        self._failing.recovered(resource=self._resource)

    def broken(self, why: str) -> None:
        """The watch does not work, for a reason that needs nobody yet."""
        self._set(False, why)

    def failed(self, why: str) -> None:
        """The watch does not work, for a reason that somebody has to know of."""
        self._set(False, why)
        left_out = self._lines.take(self._resource)
        if left_out is not None:
            beside = {"beside": len(left_out), "some": left_out[:_MOST_NAMED]} if left_out else {}
            self._failing.failed(why, resource=self._resource, **beside)

    def refused(self, error: Rejected) -> int:
        """The server refuses the watch (401, 403 or 404); return how often in a row it has.

        A server that starts refuses everybody for half a second, until it has read its roles
        (measured): the second refusal is one.
        """
        self._refusals = min(self._refusals + 1, 32)
        if self._refusals == 1:
            self._set(False, str(error))
            return 1
        self.failed(str(error))
        if not isinstance(error, Unauthorized):
            is_news, self.refusal = not self.refusal, str(error)
            if is_news:
                self._on_change()
        return self._refusals

    def ended(self, lived_s: float, events: int) -> bool:
        """A stream ended in good order; return whether watching is still of use.

        A server that ends each stream at once, without an event, teaches nothing by them.
        """
        is_empty = lived_s < self._timing.ended_early and not events
        self._empty_in_a_row = self._empty_in_a_row + 1 if is_empty else 0
        if not is_empty:
            self._useless.recovered(resource=self._resource)
        if self._empty_in_a_row < _MOST_EMPTY:
            return True
        self.useless(f"{self._resource}: the server ends each watch at once")
        return False

    def useless(self, why: str) -> None:
        """Nothing is learnt from the stream."""
        self._set(False, why)
        self._useless.failed(why, resource=self._resource)

    def _set(self, ok: bool, detail: str) -> None:
        changed = ok != self.now.ok
        since = time.time() if changed else self.now.since
        self.now = Health(ok=ok, detail=detail, since=since)
        self.changed_at = time.monotonic()
        if changed:
            self._on_change()
