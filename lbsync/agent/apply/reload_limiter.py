"""Whether HAProxy may reload now: each reload costs a second worker until the old one's connections end. Pure.

Only requested changes wait, because they can become live a little later. Repairs never wait, because the host
does not serve meanwhile, and neither do changes that take access away. No change is lost by waiting: the pass
at the end applies the desired state of that time.
"""

import random
from collections.abc import Callable
from typing import Literal

import msgspec

from lbsync.settings import Agent

Cause = Literal["change", "start", "heal", "rollback"]
"""`change`: the source, the settings, a template or a certificate asks for it. A certificate is
renewed weeks before it must be, and on every host at once, so it is no more urgent than others.
`start`: HAProxy serves nothing of ours yet. `heal`: it serves something else than was confirmed.
`rollback`: an operator, or a failed reload, goes back."""

#: How soon to check again whether an old worker has ended, as nothing announces that.
_LOOK_AGAIN_S = 1.0


class Limits(msgspec.Struct, frozen=True):
    """The settings that bound reloads; times in seconds."""

    interval: float
    """At least this long from the end of one reload to the start of the next."""
    old_workers: int
    """A reload waits while this many replaced workers are still alive."""
    splay: float
    """A reload waits a random time of up to this."""

    @classmethod
    def of(cls, agent: Agent) -> "Limits":
        """Return the limits that the settings ask for."""
        return cls(agent.reload_interval.seconds, agent.max_old_workers, agent.splay.seconds)


class Delay(msgspec.Struct, frozen=True):
    """Why a reload is put off."""

    seconds: float
    """When to ask again; more than 0."""
    reason: str
    """One phrase for log and status."""
    is_known: bool = True
    """The reload may not be before `seconds` are over; False: it may be at any time, and nothing announces it."""


class ReloadLimiter:
    """Remembers the last reload, and since when another is wanted.

    All of `now` are seconds of one monotonic clock.
    """

    def __init__(self, limits: Limits, *, draw: Callable[[], float] = random.random) -> None:
        """`draw` returns a number from 0 to below 1. `limits` may be exchanged at any time."""
        self.limits = limits
        self._draw = draw
        self._last: float | None = None
        self._begin: float | None = None

    def ask(
        self, cause: Cause, now: float, old_workers: int, *, urgent: bool = False
    ) -> Delay | None:
        """Return None if the reload may happen now, else how long it must wait.

        Ask whenever a reload is wanted, for the same or other content: the random part is drawn when one
        is first wanted, and later changes neither prolong it nor get their own. `old_workers`: replaced
        workers still alive. `urgent`: it takes access away, so it waits for nothing; HAProxy itself
        bounds the workers that can cost (`max_reloads`).
        """
        if cause != "change" or urgent:
            return None
        if self._begin is None:
            self._begin = now + self.limits.splay * self._draw()
        # The setting may have become shorter since it was drawn.
        spread = min(self._begin - now, self.limits.splay)
        free = now if self._last is None else self._last + self.limits.interval
        if spread > 0 and spread >= free - now:
            return Delay(spread, f"the reload is spread over {self.limits.splay:g} s (splay)")
        if free > now:
            return Delay(
                free - now,
                f"two reloads are at least {self.limits.interval:g} s apart (reload_interval)",
            )
        if old_workers >= self.limits.old_workers:
            return Delay(
                _LOOK_AGAIN_S,
                f"{old_workers} replaced workers still finish their connections, and there may be "
                f"no more than {self.limits.old_workers} (max_old_workers)",
                is_known=False,
            )
        return None

    def reloaded(self, now: float) -> None:
        """Note that a reload has ended, whatever its cause, and whether or not it succeeded."""
        self._last, self._begin = now, None

    def drop_request(self) -> None:
        """Note that no reload is wanted any more; the next one draws a new delay."""
        self._begin = None
