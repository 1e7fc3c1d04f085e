"""Go's `regexp` package, as confd's templates know it: MatchString, FindString, ReplaceAllString.

Python's `re` is close and wrong: its `$` matches before a last line feed, `\\d` knows all the world's
digits, and `sub` replaces an empty match right behind another one. So a pattern is rewritten, and
what Go does not take, or what Python would read otherwise, is refused.
"""

import re
from functools import lru_cache

_FLAGS = re.compile(r"\?[ims]*(?:-[ims]+)?([:)])")
_NAMED = re.compile(r"\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_MOST_REPEATS = 1000
_HEX = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})")
_SPACE = r"\t\n\f\r "
_INSIDE = {"s": _SPACE} | {char: f"\\{char}" for char in "dDwWSaftnrv"}
_OUTSIDE = {"s": f"[{_SPACE}]", "S": f"[^{_SPACE}]", "z": r"\Z"} | {
    char: f"\\{char}" for char in "AbBdDwWaftnrv"
}
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_POSIX = re.compile(r"\[:([a-z]+):\]")
_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


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
    parts: list[str] = []
    at = last = 0
    while at <= len(text) and (found := expression.search(text, at)):
        parts.append(text[last : found.start()])
        # An empty match right behind the one before does not count.
        if found.end() > last or found.start() == 0:
            parts.append(_expanded(replacement, found))
        last = found.end()
        at = max(at + 1, last)
    return "".join([*parts, text[last:]])


def _expanded(replacement: str, found: re.Match[str]) -> str:
    def group(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        number = int(name) if name.isdecimal() else found.re.groupindex.get(name, -1)
        return (found[number] or "") if 0 <= number <= found.re.groups else ""

    return _REFERENCE.sub(group, replacement)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_Rewriter(pattern).rewritten(), re.ASCII)
    except (re.error, ValueError) as error:
        raise ValueError(f"{pattern!r} is no regular expression here: {error}") from error


class _Rewriter:
    """Writes one pattern of Go's as one of Python's. Raises ValueError."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._by_line = [False]
        """For each open group: whether `$` matches at the end of each line."""
        self._repeated = False
        """The last thing written was a repetition."""

    def rewritten(self) -> str:
        """Return the whole pattern."""
        parts = []
        while self._at < len(self._pattern):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        char = self._pattern[self._at]
        if char in "*+?" or (char == "{" and _REPEAT.match(self._pattern, self._at)):
            return self._repetition()
        self._repeated = False
        if char == "\\":
            return self._escape(inside=False)
        self._at += 1
        if char == "[":
            return self._class()
        if char == "(":
            return self._group()
        if char == ")" and len(self._by_line) > 1:
            self._by_line.pop()
        if char == "$":
            return "$" if self._by_line[-1] else r"\Z"
        return r"\{" if char == "{" else char

    def _repetition(self) -> str:
        if self._repeated:
            raise ValueError("a repetition of a repetition; put the inner one into a group")
        counted = _REPEAT.match(self._pattern, self._at)
        text = counted[0] if counted else self._pattern[self._at]
        if counted and max(int(counted[1]), int(counted[2] or 0)) > _MOST_REPEATS:
            raise ValueError(f"{text} repeats more than {_MOST_REPEATS} times")
        self._at += len(text)
        if self._pattern.startswith("?", self._at):
            self._at += 1
            text += "?"
        self._repeated = True
        return text

    def _group(self) -> str:
        by_line = self._by_line[-1]
        if not self._pattern.startswith("?", self._at):
            self._by_line.append(by_line)
            return "("
        if named := _NAMED.match(self._pattern, self._at):
            self._at = named.end()
            self._by_line.append(by_line)
            return f"(?P<{named[1]}>"
        flags = _FLAGS.match(self._pattern, self._at)
        if flags is None:
            raise ValueError("after (? stands :, P<name>, or some of the flags i, m, s")
        is_first = self._at == 1
        self._at = flags.end()
        on, _, off = flags[0][1:-1].partition("-")
        by_line = "m" in on or (by_line and "m" not in off)
        if flags[1] == ":":
            self._by_line.append(by_line)
        elif is_first and not off:
            self._by_line[-1] = by_line
        else:
            raise ValueError(f"flags stand at the beginning, or with their part: (?{on or 'i'}:…)")
        return f"({flags[0]}" if flags[0] != "?)" else ""

    def _class(self) -> str:
        parts = ["["]
        if self._pattern.startswith("^", self._at):
            self._at += 1
            parts.append("^")
        first = True
        while first or not self._pattern.startswith("]", self._at):
            first = False
            parts.append(self._member())
        self._at += 1
        return "".join([*parts, "]"])

    def _member(self) -> str:
        if self._at >= len(self._pattern):
            raise ValueError("a [ without its ]")
        if posix := _POSIX.match(self._pattern, self._at):
            if posix[1] not in _CLASSES:
                raise ValueError(f"there is no class {posix[0]}")
            self._at = posix.end()
            return _CLASSES[posix[1]]
        char = self._pattern[self._at]
        if char == "\\":
            return self._escape(inside=True)
        self._at += 1
        # These begin set operations in Python's own language to come.
        return f"\\{char}" if char in "[]&|~" else char

    def _escape(self, *, inside: bool) -> str:
        char = self._pattern[self._at + 1 : self._at + 2]
        if number := _HEX.match(self._pattern, self._at + 1):
            self._at = number.end()
            return re.escape(_character(number[1] or number[2]))
        if char == "Q" and not inside:
            return self._verbatim()
        self._at += 2
        known = _INSIDE if inside else _OUTSIDE
        if char in known:
            return known[char]
        if char.isascii() and char and not char.isalnum():
            return f"\\{char}"
        cure = "write the characters themselves" if char else "it ends with half an escape"
        raise ValueError(f"\\{char} is not known: {cure}")

    def _verbatim(self) -> str:
        start = self._at + 2
        end = self._pattern.find("\\E", start)
        text = self._pattern[start:] if end < 0 else self._pattern[start:end]
        self._at = len(self._pattern) if end < 0 else end + 2
        return re.escape(text)


def _character(digits: str) -> str:
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError(f"\\x{{{digits}}} is no character")
    return chr(code)
