"""Logs each problem of a key once when it is found, and once when it is solved."""

import sys
from collections.abc import Iterable

from lbsync import log
from lbsync.model.desired import Problem

_MOST = 20
"""Lines at once; a store full of garbage must not fill the log."""


class ProblemLog:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self._said = log.OnChange(most=sys.maxsize)
        self._keys: set[str] = set()

    def update(self, problems: Iterable[Problem]) -> None:
        """Log which of the current problems are new, and which are solved."""
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
