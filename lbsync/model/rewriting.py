"""Values that say how a request's path is rewritten, in a language too small to do harm.

A regular expression from outside runs on every request, in HAProxy's own thread. So only those are
taken that cannot take long on any path. A repeated group is refused (its time may grow exponentially,
and PCRE without JIT recurses until the stack ends); repetitions without a limit are counted, and so are
the ways in which all else can match.
"""

import re

from lbsync.model.values import MAX_PATH, PathPrefix, string_of

#: With three of them a path of 8 kB could ask for 8,000 to the third power of steps.
MAX_REPEATS = 2
#: `a?` can match in two ways, `{0,3}` in four, `(a|b|c)` in three; all multiplied.
MAX_WAYS = 256
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
    rf"{_ATOM}(?P<times>{_TIMES})?|(?P<open>\((?:\?:)?)|(?P<or>\|)|(?P<close>\)\??)|(?P<end>\$)|\^"
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
    endless, ways, alternatives = 0, 1, 1
    for token in _TOKEN.finditer(pattern):
        times = token["times"] or ""
        if times in ("*", "+") or times.endswith(",}"):
            endless += 1
        elif times:
            ways *= _ways(times)
        elif token["or"]:
            alternatives += 1
        elif token["close"]:
            ways *= alternatives * len(token["close"])
            alternatives = 1
    if endless > MAX_REPEATS:
        raise ValueError(
            f"it repeats without a limit {endless} times, which can take long: at most "
            f"{MAX_REPEATS} of * + {{n,}}"
        )
    if ways > MAX_WAYS:
        raise ValueError(
            f"it can match in {ways} ways, which can take long: use fewer ? {{m,n}} and |"
        )


def _ways(times: str) -> int:
    if times == "?":
        return 2
    low, comma, high = times.strip("{}").partition(",")
    return max(1, int(high) - int(low) + 1) if comma else 1


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
