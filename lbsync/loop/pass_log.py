"""The log lines of passes: what is new, and failures that last."""

import secrets
from collections.abc import Callable

from lbsync import log
from lbsync.loop.outcome import Outcome


class PassLog:
    """Logs how passes end: on level `info` only what differs from the last one."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        """`wall_clock`: seconds since 1970."""
        self._failing = log.Failing("the pass fails", "the pass works again", clock=wall_clock)
        self._flawed = log.Failing(
            "not all is as wanted", "all is as wanted again", clock=wall_clock
        )
        # So that the lines of one pass are found together, also beside those of an earlier process.
        self._process = secrets.token_hex(2)
        self._number = 1
        self._last_result: tuple[bool, str, object] | None = None

    @property
    def pass_id(self) -> str:
        """Of the current pass, or else the next one: in each of its lines."""
        return f"{self._process}-{self._number}"

    def next_pass(self) -> None:
        """Give the lines from now on the id of the next pass."""
        self._number += 1

    def ended(self, outcome: Outcome | None, error: str) -> float | None:
        """Log how a pass ended. `outcome`: None if it raised; `error`: the outcome's, or what was raised; empty:
        none. Return when passes began to end with this error, in seconds since 1970; None without one."""
        fields = dict(outcome.fields) if outcome else {}
        confirmed = outcome is not None and outcome.confirmed
        # What was confirmed has not failed, even if a single service had to be left out.
        trouble = self._flawed if confirmed else self._failing
        if confirmed:
            self._failing.recovered()
        if outcome is not None:
            result = (confirmed, error, fields.get("digest"))
            is_news = outcome.changed or result != self._last_result
            (log.get().info if is_news else log.get().debug)(outcome.sentence, **fields)
            self._last_result = result
        if error:
            trouble.failed(error, **fields)
            return trouble.began
        if confirmed:
            self._flawed.recovered()
        return None
