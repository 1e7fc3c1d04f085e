"""Which backends were changed since their servers were last read back.

Reading thirty thousand servers because one has changed would cost more than the rest of a pass.
"""

from collections.abc import Iterable, Sequence

from lbsync.agent.runtime.changes.steps import Step
from lbsync.agent.runtime.drift import Drift

_MOST = 500
"""Of more backends than this all servers are read: in one answer that is quicker."""


class Unread:
    """Of one worker, from the proof on that it runs what it should: for that all servers were read."""

    def __init__(self) -> None:
        self._backends: set[str] = set()
        self._by_hand: list[Drift] = []

    def note_changed(self, steps: Iterable[Step]) -> None:
        """Note which backends steps are about to change."""
        named = (getattr(step, "backend", None) for step in steps)
        self._backends.update(name for name in named if name is not None)

    @property
    def backends(self) -> frozenset[str] | None:
        """The backends whose servers have to be read; None: all."""
        return frozenset(self._backends) if len(self._backends) <= _MOST else None

    def note_read(self, found: Sequence[Drift], only: frozenset[str] | None) -> list[Drift]:
        """Note that `found` is all that differs in `only` (None: in all backends).

        Return it with what is known to be set by hand in the others.
        """
        self._backends = set()
        others = [
            each
            for each in self._by_hand
            if only is not None and each.server is not None and each.server[0] not in only
        ]
        every = [*found, *others]
        self._by_hand = [each for each in every if each.by_hand]
        return every
