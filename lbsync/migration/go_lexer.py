"""Splits a Go template into text and actions, and an action into tokens (Go's text/template/parse/lex.go)."""

import ast
import re
from enum import Enum

import msgspec

from lbsync.errors import Rejected
from lbsync.migration.go_ast import Tag

_SPACE = " \t\r\n"
_OPENING = re.compile(r"\{\{(-(?=[ \t\r\n]))?")
_CLOSING = re.compile(r"([ \t\r\n]-)?\}\}")
_COMMENT = re.compile(r"[ \t\r\n]*/\*(.*?)\*/", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<text>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:[^'\\\n]|\\.)+')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?))
      | (?P<field>\.[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<dot>\.)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>:=|[=(),|])""",
    re.VERBOSE,
)


class GoSyntaxError(Rejected):
    """A text that is no Go template, with its line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class Kind(Enum):
    """What a token is."""

    LITERAL = "literal"
    FIELD = "field"
    VARIABLE = "variable"
    DOT = "dot"
    NAME = "name"
    SIGN = "sign"


class Token(msgspec.Struct, frozen=True):
    """One word of an action."""

    kind: Kind
    text: str
    value: str | int | float | None = None
    """Of a literal."""
    is_apart: bool = False
    """White space stands before it: `.a .b` are two, `.a.b` is one."""


class RawText(msgspec.Struct, frozen=True):
    """What stands between two actions."""

    text: str


class RawComment(msgspec.Struct, frozen=True):
    """A comment."""

    tag: Tag
    text: str


class RawAction(msgspec.Struct, frozen=True):
    """The tokens between two delimiters."""

    tag: Tag
    tokens: tuple[Token, ...]


Piece = RawText | RawComment | RawAction


def split(source: str) -> list[Piece]:
    """Return text and actions in turn. Raises `GoSyntaxError`."""
    pieces: list[Piece] = []
    at = 0
    while opening := _OPENING.search(source, at):
        before = source[at : opening.start()]
        line = source.count("\n", 0, opening.start()) + 1
        left = "-" if opening[1] else _kept_before(before)
        comment = _COMMENT.match(source, opening.end())
        tokens: tuple[Token, ...] = ()
        if comment:
            end = comment.end()
        else:
            tokens, end = _tokens(source, opening.end(), line)
        closing = _CLOSING.match(source, end)
        if closing is None:
            raise GoSyntaxError(line, "a comment must fill its action up to the closing braces")
        at = closing.end()
        right = "-" if closing[1] else "+" if source.startswith("\n", at) else ""
        if before:
            pieces.append(RawText(before))
        tag = Tag(line, left, right)
        pieces.append(RawComment(tag, comment[1]) if comment else RawAction(tag, tokens))
    if at < len(source):
        pieces.append(RawText(source[at:]))
    return pieces


def _kept_before(text: str) -> str:
    """Return the mark that keeps white space between the line's beginning and a tag."""
    rest = text[text.rfind("\n") + 1 :]
    return "+" if rest and not rest.strip(_SPACE) else ""


def _tokens(source: str, at: int, line: int) -> tuple[tuple[Token, ...], int]:
    """Return the tokens from `at` on, and where the closing delimiter begins."""
    found: list[Token] = []
    is_apart = True
    while not _CLOSING.match(source, at):
        match = _TOKEN.match(source, at)
        if match is None:
            rest = source[at : at + 20].split("\n", maxsplit=1)[0]
            raise GoSyntaxError(line, f"cannot be read from {rest!r} on")
        at = match.end()
        if match.lastgroup != "space":
            found.append(_token(match, is_apart, line))
        is_apart = match.lastgroup == "space"
    return tuple(found), at


def _token(match: re.Match[str], is_apart: bool, line: int) -> Token:
    kind, text = match.lastgroup, match[0]
    if kind in ("text", "raw", "char", "number"):
        return Token(Kind.LITERAL, text, _value(kind, text, line), is_apart)
    name = {"field": Kind.FIELD, "variable": Kind.VARIABLE, "dot": Kind.DOT, "name": Kind.NAME}
    return Token(name.get(kind or "", Kind.SIGN), text, None, is_apart)


def _value(kind: str, text: str, line: int) -> str | int | float:
    """Return what a literal stands for. Go's escapes and numbers are Python's, except for the octal form."""
    if kind == "raw":
        return text[1:-1]
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        try:
            return int(text, 8)
        except ValueError as error:
            raise GoSyntaxError(line, f"{text} is no text or number") from error
    if kind == "char":
        if len(value) != 1:
            raise GoSyntaxError(
                line, f"{text[:40]} has {len(value)} characters, and '' are for one"
            )
        return ord(value)
    return value  # type: ignore[no-any-return]
