"""Go's `regexp` package, as confd's templates know it: MatchString, FindString, ReplaceAllString.

Its language and its promise are those of RE2: the time for a match grows with the text, whatever the
pattern. Python's `re` keeps neither; a text of 32 characters can cost it minutes. So RE2 itself does
the work, and it is an extra: most hosts have no template that asks for it.
"""

import importlib.util
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lbsync.deferred import Deferred

re2: Any = Deferred("re2")  # 10 ms and 2.5 MB, which only templates of confd may need

AVAILABLE = importlib.util.find_spec("re2") is not None
"""Whether the extra is installed."""
MISSING = "needs RE2, Go's regular expressions: pip install 'lbsync[confd]'"
"""What follows the name of a function that cannot be offered without it."""

_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
#: RE2 knows one escape that Go does not: any byte, which may cut a character in two.
_ESCAPE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)
_MOST_DIGITS = 8


def matches(pattern: str, text: str) -> bool:
    """Tell whether `text` holds a match. Raises ValueError for a bad pattern."""
    return _compiled(pattern).search(text) is not None


def find(pattern: str, text: str) -> str:
    """Return the first match; empty without one. Raises ValueError for a bad pattern."""
    found = _compiled(pattern).search(text)
    return found[0] if found else ""


def replace_all(pattern: str, text: str, replacement: str) -> str:
    """Replace each match; `$1`, `${1}`, `$name` stand for what a group matched, `$$` for a dollar.

    A group that matched nothing, or that there is not, is empty. Raises ValueError for a bad pattern.
    """
    expression = _compiled(pattern)
    written = _references(replacement, expression.groupindex, expression.groups)
    parts: list[str] = []
    last = 0
    for found in expression.finditer(text):
        # An empty match right behind the one before does not count.
        if found.end() > last or (found.end() == 0 and not parts):
            parts.append(text[last : found.start()])
            parts += [part if isinstance(part, str) else found[part] or "" for part in written]
            last = found.end()
    return "".join([*parts, text[last:]])


def _references(replacement: str, names: Mapping[str, int], groups: int) -> list[str | int]:
    """Return the replacement in pieces: text, and numbers of groups. (Go: Regexp.Expand)"""
    parts: list[str | int] = []
    at = 0
    for reference in _REFERENCE.finditer(replacement):
        parts.append(replacement[at : reference.start()])
        at = reference.end()
        if reference[1]:
            parts.append("$")
            continue
        name = reference[2] or reference[3]
        is_number = name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS
        number = int(name) if is_number else names.get(name, -1)
        if 0 <= number <= groups:
            parts.append(number)
    parts.append(replacement[at:])
    return [part for part in parts if part != ""]


# Each may hold 8 MiB (RE2's own limit), and a pattern may be a key's value.
@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    if not AVAILABLE:
        raise ValueError(f"a regular expression {MISSING}")
    if any(escape[1] == "C" for escape in _ESCAPE.finditer(pattern)):
        raise ValueError(f"{pattern!r} is no regular expression here: there is no \\C")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0]
        why = text.decode(errors="replace") if isinstance(text, bytes) else text
        raise ValueError(f"{pattern!r} is no regular expression here: {why}") from error
