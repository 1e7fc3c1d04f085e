"""HAProxy's own way of cutting a line into words (manual 2.2), as a reference for tests."""

import re

_VARIABLE = re.compile(r"\$(\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*)")
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}


def cut(line: str) -> list[str]:
    """Return the words of `line`; a variable becomes `<VARIABLE>`, an error a ValueError."""
    words: list[str] = []
    word: list[str] | None = None
    quote, at = "", 0
    while at < len(line):
        char = line[at]
        if not quote and char in " \t\v\f":
            if word is not None:
                words.append("".join(word))
            word, at = None, at + 1
            continue
        if not quote and char in "#\n\r":
            break
        word = [] if word is None else word
        if char in "'\"" and quote in ("", char):
            quote, at = ("" if quote else char), at + 1
        elif char == "\\" and quote != "'":
            text, at = _escape(line, at, quote)
            word.append(text)
        elif char == "$" and quote == '"':
            match = _VARIABLE.match(line, at)
            if match is None:
                raise ValueError(f"bad variable name in {line!r}")
            word.append("<VARIABLE>")
            at = match.end()
        else:
            if char in "\r\n":
                raise ValueError(f"line ends between quotes: {line!r}")
            word.append(char)
            at += 1
    if quote:
        raise ValueError(f"unbalanced quotes in {line!r}")
    if word is not None:
        words.append("".join(word))
    return words


def _escape(line: str, at: int, quote: str) -> tuple[str, int]:
    following = line[at + 1 : at + 2]
    if following == "x":
        return chr(int(line[at + 2 : at + 4], 16)), at + 4
    if (following and following in "\\#'\" ") or (following == "$" and quote):
        return following, at + 2
    if following in _SHORT and following:
        return _SHORT[following], at + 2
    return "\\", at + 1
