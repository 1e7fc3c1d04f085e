"""Go's `path` package, as confd's templates know it: Match, Clean, Join, Base, Dir.

Python's own are close and wrong: in `fnmatch` the `*` crosses "/" and `[!a]` negates where Go has
`[^a]`; `os.path.basename("/a/")` is "" where Go says "a"; `normpath` keeps a leading "//".
"""

import re
from collections.abc import Callable
from functools import lru_cache

_MAGIC = re.compile(r"[*?\[\\]")


def clean(path: str) -> str:
    """Return the shortest path of the same meaning; "." for nothing. (Go: path.Clean)"""
    rooted = path.startswith("/")
    steps: list[str] = []
    for step in path.split("/"):
        if step in ("", "."):
            continue
        if step != "..":
            steps.append(step)
        elif steps and steps[-1] != "..":
            steps.pop()
        elif not rooted:
            steps.append(step)
    return "/" + "/".join(steps) if rooted else "/".join(steps) or "."


def join(*elements: str) -> str:
    """Return the elements that are not empty, joined by "/" and cleaned. (Go: path.Join)"""
    present = [element for element in elements if element]
    return clean("/".join(present)) if present else ""


def base(path: str) -> str:
    """Return the last element; "." for "", "/" for slashes only. (Go: path.Base)"""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def parent(path: str) -> str:
    """Return all but the last element, cleaned: "/a/b" for "/a/b/". (Go: path.Dir)"""
    head, slash, _ = path.rpartition("/")
    return clean(head + slash)


def literal_prefix(pattern: str) -> str:
    """Return what every match of `pattern` starts with."""
    found = _MAGIC.search(pattern)
    return pattern if found is None else pattern[: found.start()]


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Callable[[str], object]:
    """Return a test whether a whole string matches `pattern`. (Go: path.Match)

    `*` and `?` do not cross "/"; `[a-z]`, `[^a]`, and `\\` before a character are known. Raises
    ValueError for a bad pattern.
    """
    pieces = [""]
    """What stands between the stars."""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[":
            text, at = _class(pattern, at)
            pieces[-1] += text
        else:
            if char == "\\":
                char, at = _member(pattern, at - 1, inside=False)
            pieces[-1] += re.escape(char)
    first, *between = pieces
    last = f"[^/]*{between.pop()}" if between else ""
    # As in Go, a piece is taken where it fits first, and for good. To try all its other places, too,
    # would let the time for a long key grow with the power of the number of stars.
    firm = [f"(?>[^/]*?{piece})" for piece in between if piece]
    return re.compile("".join([first, *firm, last]), re.DOTALL).fullmatch


def _class(pattern: str, at: int) -> tuple[str, int]:
    """Translate a character class whose `[` stands before `at`; return it and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    first = True
    while first or not pattern.startswith("]", at):
        first = False
        low, at = _member(pattern, at, inside=True)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1, inside=True)
        if low <= high:  # Go accepts z-a, which matches nothing
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if not ranges:
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{''.join(ranges)}]", at + 1


def _member(pattern: str, at: int, *, inside: bool) -> tuple[str, int]:
    """Return the character at `at`, unescaped, and the place behind it."""
    escaped = pattern.startswith("\\", at)
    at += escaped
    bare = inside and not escaped and pattern[at : at + 1] in ("-", "]")
    if at >= len(pattern) or bare or (inside and at + 1 >= len(pattern)):
        raise ValueError(f"bad pattern {pattern!r}: see Go's path.Match for what it may hold")
    return pattern[at], at + 1
