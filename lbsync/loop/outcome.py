"""The outcome of a pass, and the loop's report of it."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from lbsync.errors import Exit

_NAMED = 3


class Outcome(msgspec.Struct, frozen=True):
    """How one pass ended."""

    sentence: str
    """One sentence for log and status: revision, digest, what changed, how it was applied."""
    confirmed: bool
    """The desired state runs, and was read back to prove it."""
    waits: str = ""
    """Why a reload for the desired state has to wait; `confirmed` is about what is served meanwhile."""
    waits_s: float = 0.0
    """For how many seconds at least; 0: nobody knows."""
    changed: bool = False
    """This pass applied something."""
    error: str = ""
    """Why it is not confirmed, or what else is wrong; empty when all is well."""
    retry: bool = False
    """Try again with back-off even if nothing changes."""
    again_in: float | None = None
    """Seconds until a pass is due in any case: a deferred reload, a guard's release."""
    exit_code: Exit = Exit.OK
    """For `agent --once`."""
    fields: dict[str, object] = {}
    """More for the log line: `revision=…, digest=…, ms=…`."""

    def within(self, waits: Iterable[float]) -> "Outcome":
        """Return the same with a pass due at the latest after the shortest of `waits` (seconds)."""
        known = () if self.again_in is None else (self.again_in,)
        return msgspec.structs.replace(self, again_in=min((*waits, *known), default=None))


class Unfinished(Protocol):
    """A pass that waits for something beside which changes may go on."""

    def is_ready(self) -> bool:
        """Tell whether `finish` has nothing to wait for. Never blocks."""
        ...

    def finish(self) -> Outcome:
        """Return how it ended. Once only. Raises as the pass does."""
        ...

    def abandon(self) -> None:
        """End it without a result: the pass that comes next does all of it."""
        ...


def some(names: list[str], verb: str, verb_of_many: str = "") -> str:
    """Return a phrase about up to three services, or how many they are: `shop/cart, shop/web changed`; empty: none.

    `verb_of_many`: the verb for several, if it differs.
    """
    if not names:
        return ""
    which = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} services"
    return f"{which} {(len(names) > 1 and verb_of_many) or verb}"


class Report(msgspec.Struct, frozen=True):
    """What the loop knows after a pass, for the status."""

    outcome: Outcome | None
    """None when the pass ended in an exception."""
    error: str
    """The outcome's error or the exception's text; empty when all is well."""
    failing_since: float | None
    """Seconds since 1970 when passes began to fail for this reason; None while all is well."""
    seconds: float
    """How long the pass took."""
    reload_error: str = ""
    """Why new settings or templates were not taken over; empty when they were."""
