"""Values that say how a request's path is rewritten, in a language too small to do harm.

A regular expression from outside runs on every request, in HAProxy's own thread. So only those are
taken that cannot take long on any path. A repeated group is refused (its time may grow exponentially,
and PCRE without JIT recurses until the stack ends); for everything else the steps are counted, see `effort`.
"""

import re

from lbsync.values import effort
from lbsync.values.effort import Piece
from lbsync.values.names import MAX_PATH, PathPrefix, string_of

_MAX_PATTERN = 200

_ATOM = (
    r"(?:[A-Za-z0-9_~!%&',;=:@/<>-]|\.|\\[.*+?()\[\]{}|^$\\/dwDW-]"
    r"|\[\^?(?:(?!--|&&|~~)[A-Za-z0-9_~!%&',;=:@/.*+?()$<>-]|\\[\]\\^dw-])+\])"
)
_TIMES = r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})"
_PIECES = rf"(?:{_ATOM}{_TIMES}?)*"
_GROUP = rf"\((?:\?:)?{_PIECES}(?:\|{_PIECES})*\)\??"
_PATTERN = re.compile(rf"\^?(?:{_ATOM}{_TIMES}?|{_GROUP})*\$?\Z")
_TOKEN = re.compile(
    rf"(?P<atom>{_ATOM})(?P<times>{_TIMES})?|(?P<open>\((?:\?:)?)|(?P<or>\|)|(?P<close>\)\??)|(?P<end>\$)|\^"
)
_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%/-]|\\[1-9])*\Z")


class StripPaths(tuple[PathPrefix, ...]):
    """Prefixes to take off: one path, or a list of which the longest that fits is taken."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "StripPaths":
        """Return the paths, the longest first. Raises ValueError."""
        given = raw if isinstance(raw, list | tuple) else [raw]
        paths = {PathPrefix.parse(path) for path in given}
        if not paths or len(paths) > 50:
            raise ValueError("write one path like /api, or a list of at most 50")
        if "/" in paths:
            raise ValueError("/ has nothing to take off: leave it out")
        return cls(sorted(paths, key=lambda path: (-len(path), path)))

    @property
    def pattern(self) -> str:
        """What matches a path that begins with one of them; group 3 is what stays."""
        return f"^({'|'.join(map(re.escape, self))})(/(.*))?$"


class PathPattern(str):
    """A regular expression for a whole path, of which only a part of the language is taken.

    There are characters, `.`, `[classes]`, `\\d` and `\\w`, the repetitions `* + ? {m,n}` of one of
    these, and groups with alternatives, which may be left out (`?`) but neither repeated nor nested.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "PathPattern":
        """Return the expression. Raises ValueError."""
        text = string_of(raw, "a pattern")
        if not text or len(text) > _MAX_PATTERN:
            raise ValueError(f"a pattern has 1 to {_MAX_PATTERN} characters")
        if not _PATTERN.match(text):
            raise ValueError(
                f"{text[:80]!r} is more of a regular expression than is taken here: no repeated or "
                r"nested groups, look-around, back-references, spaces or #; write other characters "
                r"as \. \( and so on"
            )
        _refuse_costly(text)
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        return cls(text)

    @property
    def groups(self) -> int:
        """How many groups there are to refer to."""
        return sum(1 for token in _TOKEN.finditer(self) if token["open"] == "(")

    @property
    def anchored(self) -> str:
        """The expression for a whole path."""
        closed = any(token["end"] for token in _TOKEN.finditer(self))
        return f"^{self.removeprefix('^')}" + ("" if closed else "$")


def _refuse_costly(pattern: str) -> None:
    needed = effort.steps(_pieces(pattern))
    if needed > effort.MAX_STEPS:
        shown = f"{needed:,}" if needed < 10**15 else "countless"
        raise ValueError(
            f"it can take {shown} steps on a long path; at most {effort.MAX_STEPS:,} are taken: let what is "
            "repeated exclude what comes next, as in [^/]*/, and use fewer of * + {m,n} and |"
        )


def _pieces(pattern: str) -> list[Piece]:
    """Return what the pattern is made of; `^` and `$` are left out, for it is for a whole path."""
    found: list[Piece] = []
    branches: list[list[Piece]] = []
    for token in _TOKEN.finditer(pattern):
        here = branches[-1] if branches else found
        if token["open"] or token["or"]:
            branches.append([])
        elif token["close"]:
            inner = tuple(map(tuple, branches))
            found.append(Piece("", 0 if token["close"].endswith("?") else 1, 1, inner))
            branches = []
        elif token["atom"]:
            here.append(Piece(token["atom"], *_times(token["times"] or "")))
    return found


def _times(times: str) -> tuple[int, int | None]:
    if times in _SIGNS:
        return _SIGNS[times]
    low, comma, high = times.strip("{}").partition(",")
    return int(low), (int(high) if high else None) if comma else int(low)


_SIGNS: dict[str, tuple[int, int | None]] = {
    "": (1, 1),
    "?": (0, 1),
    "*": (0, None),
    "+": (1, None),
}


class PathTarget(str):
    """What a rewritten path becomes: a path in which `\\1` to `\\9` stand for groups."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "PathTarget":
        """Return the text. Raises ValueError."""
        text = string_of(raw, "a replacement")
        if len(text) > MAX_PATH or not _TARGET.match(text):
            raise ValueError(
                f"{text[:80]!r} is no replacement: a path that begins with /, in which \\1 to \\9 "
                "stand for the groups of the pattern"
            )
        return cls(text)

    @property
    def highest(self) -> int:
        """The highest group referred to; 0 without one."""
        return max((int(digit) for digit in re.findall(r"\\([1-9])", self)), default=0)
