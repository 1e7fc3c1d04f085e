"""How long to wait before the next try: twice as long after each failure, up to a longest pause. Pure."""

import random

_MAX_DOUBLINGS = 32


def doubled(first_s: float, longest_s: float, failures: int) -> float:
    """Return the pause after so many earlier failures; `first_s` after none."""
    return min(first_s * 2.0 ** min(failures, _MAX_DOUBLINGS), longest_s)


class Backoff:
    """The pauses of one thing that is tried again."""

    def __init__(
        self, first_s: float, longest_s: float, *, spread: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        """`spread`: each pause is multiplied by a number between these, so that many who failed together
        do not try together again."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._spread = spread
        self.failures = 0
        """Since it last went well."""

    def pause(self) -> float:
        """Return for how many seconds to wait after one more failure; never more than the longest."""
        pause = doubled(self._first_s, self._longest_s, self.failures)
        self.failures += 1
        return min(pause * random.uniform(*self._spread), self._longest_s)

    def reset(self) -> None:
        """It went well: begin with the first pause again."""
        self.failures = 0
