"""One value, one word: how text from outside is written into a configuration file.

HAProxy's rules are those of its manual, section 2.2 "Quoting and escaping", and of measurements
against 2.6 and 2.8. Three of them decide: `#` starts a comment even in the middle of a bare word;
`$` expands between double quotes; and an empty word ends the line silently, so that a condition
behind it is lost.

A value that needs quotes is not quoted on the spot. It becomes a *hole*, its double-quoted body
between two control characters, and `lbsync.agent.render.deferred_quoting` quotes them once the whole
line is known. So a template may print a value bare, between quotes or in the middle of a word, and
the value stays in its word in each place.
"""

import re
from collections.abc import Callable

from lbsync.errors import Rejected

#: Opens and closes a hole. No value and no template may hold them: both are control characters.
OPEN = "\x02"
CLOSE = "\x03"

#: A word without any character that HAProxy treats specially, bare or between quotes.
_SAFE = re.compile(r"[A-Za-z0-9_.:/@%+=,*?&;~^|<>()\[\]{}!-]+").fullmatch
#: The same for files whose syntax we do not know (nginx and others): nothing that could end a
#: word, start a comment, a block, a variable or a regular expression.
_PLAIN = re.compile(r"[A-Za-z0-9_/.:*\[][A-Za-z0-9_.:/@%+=,*\[\]-]*").fullmatch
#: To be written as an escape between double quotes.
_ESCAPE = re.compile(r'[\x00-\x1f\x7f"$\\]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_NAMES = {"\0": "a NUL byte", "\r": "a carriage return", "\n": "a line feed"}

Encoder = Callable[[str], str]
"""Turns one value into what a template prints; raises `Rejected` for what cannot be written."""


def _refused(value: str, reason: str) -> Rejected:
    shown = repr(value if len(value) <= 60 else value[:57] + "...")
    return Rejected(f"the value {shown} {reason}")


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return f"\\x{ord(char):02x}" if char < " " or char == "\x7f" else "\\" + char


def _check(value: str) -> None:
    if not value:
        raise _refused(
            value, "is empty: HAProxy would end the line there; test it with {% if %} first"
        )
    for char, name in _NAMES.items():
        if char in value:
            raise _refused(value, f"holds {name}, which no configuration word may; remove it")
    if OPEN in value or CLOSE in value:
        raise _refused(
            value,
            "holds a control character (U+0002 or U+0003), or text that was quoted already was "
            "taken apart; change values before they are quoted",
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _refused(value, "holds half a surrogate pair, which is no character") from error


def _check_word(value: str) -> None:
    """Refuse what no quotes make a word of its own: HAProxy takes them off before it looks for the
    brace that ends a condition, so the words behind it would become conditions (measured, 2.6 to 2.8)."""
    if value == "}":
        raise _refused(
            value, "would end a condition, whatever its quotes; write it with more around it"
        )


def body(value: str) -> str:
    """Return `value` as it is written between double quotes. Raises `Rejected`: see `quote`."""
    _check(value)
    return _ESCAPE.sub(_escape, value)


def quote(value: str) -> str:
    """Return `value` as one HAProxy word: bare when that is safe, else between double quotes.

    Raises `Rejected` for an empty value (an empty word ends the line), NUL (cuts the value
    short), CR and LF (they would split headers), text that has no UTF-8 form, and `}` alone.
    """
    _check_word(value)
    return value if _SAFE(value) else f'"{body(value)}"'


def deferred_haproxy(value: str) -> str:
    """Return `value` bare when that is safe anywhere in a line, else as a hole. See `quote`."""
    if _SAFE(value) and value != "}":
        return value
    _check_word(value)
    return f"{OPEN}{body(value)}{CLOSE}"


def logformat(value: str) -> str:
    """Return `value` with `%` doubled, for arguments that HAProxy reads as a log-format.

    Not quoted yet. Without it `%[env(SECRET)]` in a value would be evaluated.
    """
    return value.replace("%", "%%")


def map_key(value: str) -> str:
    """Return `value` as the key of a map file line; there is no quoting in map files.

    Raises `Rejected` for white space (ends the key), a leading `#` (the line would be a comment),
    control characters and an empty value.
    """
    if _SAFE(value):
        return value
    _check(value)
    if value.startswith("#"):
        raise _refused(value, "starts with '#', which makes the line of a map file a comment")
    if " " in value or _CONTROL.search(value):
        raise _refused(value, "holds white space or a control character; map files have no quotes")
    return value


def map_value(value: str) -> str:
    """Return `value` as the value of a map file line: the rest of the line, spaces included.

    Raises `Rejected` for control characters, for spaces at the ends (HAProxy strips them) and
    for an empty value.
    """
    _check(value)
    if _CONTROL.search(value):
        raise _refused(value, "holds a control character; map files have no quotes")
    if value != value.strip(" "):
        raise _refused(value, "starts or ends with a space, which HAProxy strips in map files")
    return value


def strict(value: str) -> str:
    """Return `value` if it is a plain word in any configuration language; else raise `Rejected`."""
    if _PLAIN(value):
        return value
    _check(value)
    raise _refused(
        value,
        "is no plain word (letters, digits and _ . : / @ % + = , * [ ] -), and nothing is known "
        "of this file's quoting; check it in the template, or print it with |raw",
    )


def verbatim(value: str) -> str:
    """Return `value` as it is; for files that are text, not configuration.

    Raises `Rejected` for NUL and for text that has no UTF-8 form.
    """
    if value:
        _check(value.replace("\n", " ").replace("\r", " "))
    return value


def raw(value: str) -> str:
    """Return `value` for printing as configuration, the template's author vouching for it.

    Raises `Rejected` for control characters other than TAB: not even a value that is trusted may
    start a line of its own.
    """
    if _CONTROL.search(value.replace("\t", " ")):
        raise _refused(value, "holds a control character or a line feed; even |raw refuses these")
    if value:
        _check(value)
    return value
