"""What a Go template consists of, as far as confd's templates go (Go's text/template, package parse)."""

from typing import TypeAlias

import msgspec


class Tag(msgspec.Struct, frozen=True):
    """Where an action stands, and how the text around it is to be kept or trimmed.

    `left` and `right` are the marks that Jinja needs there, with `trim_blocks` and `lstrip_blocks` on, to
    print the bytes that Go prints: "-" trims white space in both languages, "+" keeps what Jinja would drop.
    """

    line: int
    left: str = ""
    right: str = ""


class Literal(msgspec.Struct, frozen=True):
    """A constant: text, number, `true`, `false` or `nil`."""

    value: str | int | float | bool | None


class Dot(msgspec.Struct, frozen=True):
    """`.`: what the surrounding range, with or define is about."""


class Variable(msgspec.Struct, frozen=True):
    """`$name`; `$` alone has an empty name."""

    name: str


class Field(msgspec.Struct, frozen=True):
    """`.Name` of what `of` gives."""

    of: "Expression"
    name: str


class Call(msgspec.Struct, frozen=True):
    """A function with its arguments; what a pipeline hands on is the last one."""

    name: str
    arguments: "tuple[Expression, ...]" = ()


Expression: TypeAlias = Literal | Dot | Variable | Field | Call


class Pipeline(msgspec.Struct, frozen=True):
    """An expression, and the variables that take its value."""

    expression: Expression
    variables: tuple[str, ...] = ()
    is_declared: bool = True
    """`:=`, and not `=`."""


class Text(msgspec.Struct, frozen=True):
    """Text that is printed as it is, untrimmed."""

    text: str


class Comment(msgspec.Struct, frozen=True):
    """`{{/* … */}}`."""

    tag: Tag
    text: str


class Action(msgspec.Struct, frozen=True):
    """A pipeline that is printed, or only sets variables."""

    tag: Tag
    pipeline: Pipeline


class Branch(msgspec.Struct, frozen=True):
    """A part of `if`, `range` or `with`; the one behind a bare `else` has no pipeline."""

    tag: Tag
    pipeline: Pipeline | None
    body: "tuple[Node, ...]"


class Block(msgspec.Struct, frozen=True):
    """`if`, `range` or `with`, up to its `end`."""

    keyword: str
    branches: tuple[Branch, ...]
    end: Tag


class Define(msgspec.Struct, frozen=True):
    """A template within the file; `block` calls it at once, with the pipeline."""

    tag: Tag
    name: str
    body: "tuple[Node, ...]"
    end: Tag
    pipeline: Pipeline | None = None


class Include(msgspec.Struct, frozen=True):
    """`template "name" pipeline`."""

    tag: Tag
    name: str
    pipeline: Pipeline | None


class Jump(msgspec.Struct, frozen=True):
    """`break` or `continue`."""

    tag: Tag
    keyword: str


Node: TypeAlias = Text | Comment | Action | Block | Define | Include | Jump
