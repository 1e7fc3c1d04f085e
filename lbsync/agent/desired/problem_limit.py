"""Of many problems the first of each writer by name, and how many more there are. Pure.

A store is shared: twenty thousand bad keys of one namespace must cost the others nothing, neither time
nor a log, status and `quarantine/` in which their own problem cannot be found.
"""

from collections.abc import Iterable

from lbsync.model.desired import Problem

NAMED = 20
"""Of one namespace."""
_MOST = 500
"""In all: a writer may have many namespaces."""
_SUMMARY = "*/"


def few(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems to report, sorted by key: with a summary for each namespace that has more."""
    groups: dict[str, list[Problem]] = {}
    found: list[Problem] = []
    for problem in sorted(problems, key=lambda each: (each.key, each.reason)):
        if not problem.key or problem.key.startswith(_SUMMARY):
            found.append(problem)
        else:
            groups.setdefault(_namespace(problem), []).append(problem)
    named = 0
    for namespace, mine in groups.items():
        room = max(0, min(NAMED, _MOST - named))
        found += mine[:room]
        named += min(room, len(mine))
        if (more := len(mine) - room) > 0:
            key = f"{_SUMMARY}{namespace}/*"
            if named < _MOST:
                found.append(Problem(key, "", _sentence(more, f"of namespace {namespace}")))
    if (rest := sum(map(len, groups.values())) - named) > 0 and named >= _MOST:
        found.append(Problem(f"{_SUMMARY}*", "", _sentence(rest, "of all namespaces")))
    return sorted(found, key=lambda each: (each.key, each.reason))


def _namespace(problem: Problem) -> str:
    if problem.service:
        return problem.service.partition("/")[0]
    parts = problem.key.split("/")
    return parts[1][:63] if len(parts) > 2 else parts[0][:63]


def _sentence(more: int, whose: str) -> str:
    return f"{_about(more)} more problems {whose}; 'lbsync service ls' shows each"


def _about(number: int) -> str:
    """Return a number of few digits: each change of it is news, and a flood brings one with each key."""
    if number < 20:
        return str(number)
    unit = 10 ** (len(str(number)) - 1)
    floor = number // unit
    return f"over {(5 if floor >= 5 else 2 if floor >= 2 else 1) * unit}"
