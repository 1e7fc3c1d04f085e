"""Label and field selectors, in the grammar of the Kubernetes documentation."""

import re
from collections.abc import Callable
from typing import Any

from harness.fake_kube.status import Json, bad_request

Test = Callable[[dict[str, str]], bool]
_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")


def labels(selector: str) -> Callable[[Json], bool]:
    """Return a test of objects for a `labelSelector`; "" takes all."""
    tests = [_requirement(part) for part in _split(selector)]

    def matches(found: Json) -> bool:
        given = found["metadata"].get("labels") or {}
        return all(test(given) for test in tests)

    return matches


def fields(selector: str) -> Callable[[Json], bool]:
    """Return a test of objects for a `fieldSelector`."""
    wanted = []
    for part in _split(selector):
        found = _EQUAL.match(part)
        if not found:
            raise bad_request(f"invalid field selector: {part}")
        path, operator, value = found.groups()
        wanted.append((path.split("."), operator == "!=", value))

    def matches(found: Json) -> bool:
        return all((_at(found, path) == value) != negated for path, negated, value in wanted)

    return matches


def _at(found: Json, path: list[str]) -> str:
    value: Any = found
    for part in path:
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)


def _split(selector: str) -> list[str]:
    """Split at the commas that are not inside a set's parentheses."""
    return [part for part in re.split(r",(?![^()]*\))", selector) if part.strip()]


def _requirement(part: str) -> Test:
    if found := _SET.match(part):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda given: given.get(key) in values
        return lambda given: given.get(key) not in values
    if found := _EQUAL.match(part):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda given: given.get(key) != value
        return lambda given: given.get(key) == value
    if found := _EXISTS.match(part):
        negated, key = bool(found[1]), found[2]
        return lambda given: (key in given) != negated
    if "===" in part:
        raise bad_request("unable to parse requirement: found '=', expected: identifier")
    raise bad_request(f"unable to parse requirement: {part!r}")
