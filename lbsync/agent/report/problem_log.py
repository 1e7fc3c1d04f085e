"""What is wrong with single keys, said once each: when it is found, and when it is cured."""

import sys
from collections.abc import Iterable

from lbsync import log
from lbsync.model.desired import Problem

_MOST = 20
"""Lines at once; a store full of garbage must not become a log full of it."""


class ProblemLog:
    """Knows what was said."""

    def __init__(self) -> None:
        self._said = log.OnChange(most=sys.maxsize)
        self._keys: set[str] = set()

    def update(self, problems: Iterable[Problem]) -> None:
        """Log what is new among the problems that there are now, and what is no problem any more."""
        now = {(problem.key, problem.reason): problem for problem in problems}
        fresh = [problem for place, problem in now.items() if self._said.is_new(place)]
        self._said.keep(now)
        keys = {problem.key for problem in now.values()}
        cured, self._keys = self._keys - keys, keys
        for problem in fresh[:_MOST]:
            name = problem.key or "this host"
            log.get().warning(f"{name}: {problem.reason}", key=problem.key, service=problem.service)
        if len(fresh) > _MOST:
            log.get().warning(f"and {len(fresh) - _MOST} more; 'lbsync status' has them all")
        for key in sorted(cured)[:_MOST]:
            log.get().info(f"{key or 'this host'}: in order again", key=key)
