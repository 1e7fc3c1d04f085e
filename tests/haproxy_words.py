"""HAProxy's own way of cutting a line into words (manual 2.2), as a reference for tests."""

import re

#: What a word is made of, outside quotes and between double quotes, by decreasing precedence.
_BARE = re.compile(
    r"""(?P<end>[\#\r\n])|(?P<gap>[ \t\v\f]+)|'(?P<single>[^']*)'|(?P<error>')|(?P<double>")"""
    r"""|\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<escaped>[\\\#'" ])|\\(?P<short>[nrt])|(?P<plain>.)""",
    re.DOTALL,
)
_DOUBLE = re.compile(
    r"""(?P<double>")|(?P<variable>\$(?:\{[^}]*\}|[A-Za-z_]\w*))|(?P<error>[$\r\n])"""
    r"""|\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<escaped>[\\\#'"$ ])|\\(?P<short>[nrt])|(?P<plain>.)""",
    re.DOTALL | re.ASCII,
)
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}


def cut(line: str) -> list[str]:
    """Return the words of `line`; `$NAME` becomes `<VARIABLE>NAME`, an error a ValueError."""
    words: list[str] = []
    word: list[str] | None = None
    quoted, at = False, 0
    while at < len(line):
        match = (_DOUBLE if quoted else _BARE).match(line, at)
        assert match is not None
        kind, text, at = match.lastgroup, match[match.lastgroup or 0], match.end()
        if kind == "end":
            break
        if kind == "gap":
            words += [] if word is None else ["".join(word)]
            word = None
            continue
        word = [] if word is None else word
        if kind == "double":
            quoted = not quoted
        else:
            word.append(_meaning(kind, text, line))
    if quoted:
        raise ValueError(f"unbalanced quotes in {line!r}")
    return words if word is None else [*words, "".join(word)]


def _meaning(kind: str | None, text: str, line: str) -> str:
    if kind == "error":
        raise ValueError(f"bad quote, variable or line end in {line!r}")
    if kind == "single" and set(text) & {"\r", "\n"}:
        raise ValueError(f"line ends between quotes: {line!r}")
    if kind == "hex":
        return chr(int(text, 16))
    if kind == "short":
        return _SHORT[text]
    return f"<VARIABLE>{text[1:]}" if kind == "variable" else text
