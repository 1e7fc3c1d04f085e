r"""Cutting a line of haproxy.cfg into words (configuration manual, section 2.2: quoting). Pure."""

import re

UNKNOWN = "\0"
"""Stands in a word for what only HAProxy knows: the value of the environment variable whose name
follows. A real word never holds it, since HAProxy refuses the byte."""

_PLAIN = re.compile(r"[\t !%-&(-\[\]-~$]*")
r"""Printable ASCII without `"`, `#`, `'` and `\`: blanks alone separate the words."""
_PART = re.compile(
    r"""(?P<blank>[ \t\v\f]+)
      | (?P<comment>[\#\r].*)
      | (?P<plain>[^ \t\v\f\r\\'"\#]+)
      | \\(?P<escape>x[0-9A-Fa-f]{2}|[\\\#'"\x20nrt])
      | '(?P<single>[^']*)'?
      | "(?P<double>(?:\$\{[^}]*\}|[^"\\]|\\.)*)"?
      | (?P<rest>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE = re.compile(
    r"""\\(x[0-9A-Fa-f]{2}|[\\\#'"\x20nrt$])|(\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*)"""
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)(?:\[\*\])?\}?")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


def words(line: str) -> list[str]:
    """Return the words of one line as HAProxy would pass them on, comments left out."""
    if _PLAIN.fullmatch(line):
        return line.split()
    found: list[str] = []
    word: str | None = None
    for part in _PART.finditer(line):
        kind = part.lastgroup
        if kind == "comment":
            break
        if kind == "blank":
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + _value(part)
    if word is not None:
        found.append(word)
    return found


def variables(line: str) -> set[str]:
    """Return the environment variables that a line names, except for those with a default of their own
    (`"${NAME-default}"`; configuration manual, section 2.3)."""
    found: set[str] = set()
    for part in _PART.finditer(line):
        if part.lastgroup == "comment":
            break
        if part.lastgroup == "double":
            named = (inner[2] for inner in _IN_DOUBLE.finditer(part["double"] or "") if inner[2])
            found.update(match[1] for name in named if (match := _VARIABLE.fullmatch(name)))
    return found


def _value(part: re.Match[str]) -> str:
    text = part[part.lastgroup or 0] or ""
    if part.lastgroup == "escape":
        return _escaped(text)
    if part.lastgroup == "double":
        return _IN_DOUBLE.sub(
            lambda inner: UNKNOWN + inner[2][1:] if inner[2] else _escaped(inner[1]), text
        )
    return text


def _escaped(text: str) -> str:
    return chr(int(text[1:], 16)) if len(text) == 3 else _CONTROLS.get(text, text)
