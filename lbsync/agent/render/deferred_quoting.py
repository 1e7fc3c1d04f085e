"""Quoting each value for its place in the line, once the whole line is known.

A value printed on its own needs quotes around it; the same value inside quotes of the template must not
bring its own, or it would end them. Only the whole line shows which. HAProxy has no continuation lines
(measured: a backslash before the line feed does not join), so a line is all the context.
"""

import re

from lbsync.agent.render.quoting import CLOSE, OPEN
from lbsync.errors import TemplateError

#: Marks text whose lines are already quoted; must be at the start of a line.
LINE_START = "\x1e"

_MARKS = (OPEN, CLOSE, LINE_START)
_CUT = "text that was quoted already was cut apart"
_BLANK = " \t" + LINE_START
_SPECIAL = re.compile(r"""[\\'"#\x02\x03]""")


class _Line:
    """The lexical state of HAProxy's `parse_line` while it walks along one line."""

    def __init__(self, whole: str, start: int, end: int) -> None:
        self.whole = whole
        self.start = start
        self.text = whole[start:end]
        self.quote = ""
        self.comment = False
        self.parts: list[str] = []

    def fault(self, reason: str) -> TemplateError:
        return _fault(self.whole, self.start, reason)

    def quoted(self) -> str:
        done = at = 0
        while (match := _SPECIAL.search(self.text, at)) is not None:
            char, at = match[0], match.end()
            if char == OPEN:
                end = self.text.find(CLOSE, at)
                self.parts += (self.text[done : match.start()], self._word(at, end))
                done = at = end + 1
            elif char == CLOSE:
                raise self.fault(_CUT)
            elif not self.comment:
                at = self._step(char, at)
        self.parts.append(self.text[done:])
        return "".join(self.parts)

    def _step(self, char: str, at: int) -> int:
        """Take one special character into account; return where to go on."""
        if char == "#":
            self.comment = not self.quote
        elif char == "\\":
            if self.quote != "'":
                if self.text.startswith(OPEN, at):
                    raise self.fault("the template writes a backslash before a value; remove it")
                return at + 1
        elif not self.quote:
            self.quote = char
        elif self.quote == char:
            self.quote = ""
        return at

    def _word(self, start: int, end: int) -> str:
        body = self.text[start:end]
        if end < 0 or OPEN in body:
            raise self.fault(_CUT)
        if self.quote == '"':
            return body
        if self.quote == "'":
            return f"'\"{body}\"'"
        if not self.comment and not self.text[: start - 1].strip(_BLANK):
            raise self.fault(
                "a line must not start with a value; write the keyword in the template"
            )
        return f'"{body}"'


def _fault(whole: str, start: int, reason: str) -> TemplateError:
    number = whole.count("\n", 0, start) + 1
    shown = whole[start:].partition("\n")[0].replace(OPEN, "{{").replace(CLOSE, "}}")
    return TemplateError(f"line {number} as rendered, {shown.strip(_BLANK)[:160]!r}: {reason}")


def quote_in_place(text: str) -> str:
    """Return `text` with every deferred value quoted for its place.

    Raises `TemplateError` when one is damaged, follows a backslash or starts a line.
    """
    parts: list[str] = []
    done = 0
    while (hole := text.find(OPEN, done)) >= 0:
        start = text.rfind("\n", 0, hole) + 1
        end = text.find("\n", hole)
        end = len(text) if end < 0 else end
        parts += (text[done:start], _Line(text, start, end).quoted())
        done = end
    if parts:
        text = "".join((*parts, text[done:]))
    if (stray := text.find(CLOSE)) >= 0:
        raise _fault(text, text.rfind("\n", 0, stray) + 1, _CUT)
    return _drop_line_starts(text) if LINE_START in text else text


def _drop_line_starts(text: str) -> str:
    # All at once: ten thousand backends have one each.
    at_beginnings = text.count(f"\n{LINE_START}") + text.startswith(LINE_START)
    at = len(text) if text.count(LINE_START) == at_beginnings else -1
    while (at := text.find(LINE_START, at + 1)) >= 0:
        start = text.rfind("\n", 0, at) + 1
        if text[start:at].strip(_BLANK):
            raise _fault(
                text, start, "each(...) prints whole lines, so it must start on a line of its own"
            )
    return text.replace(LINE_START, "")


def quote_lines(text: str) -> str:
    """Quote the values of whole lines before the rest of the file, so that the result can be cached.

    Text that does not end with a line feed is returned unchanged: its last line is not complete yet.
    """
    if not text.endswith("\n") or not any(mark in text for mark in _MARKS):
        return text
    return LINE_START + quote_in_place(text)
