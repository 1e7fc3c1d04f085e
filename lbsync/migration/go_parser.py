"""Makes a tree of a Go template (Go's text/template/parse/parse.go)."""

from collections.abc import Sequence

from lbsync.migration import go_ast, go_lexer
from lbsync.migration.go_ast import (
    Action,
    Block,
    Branch,
    Call,
    Comment,
    Define,
    Dot,
    Expression,
    Field,
    Include,
    Jump,
    Literal,
    Node,
    Pipeline,
    Text,
    Variable,
)
from lbsync.migration.go_lexer import GoSyntaxError, Kind, RawAction, RawComment, RawText, Token

_CONSTANTS = {"true": True, "false": False, "nil": None}
_BLOCKS = frozenset({"if", "range", "with"})


def parse(source: str) -> tuple[Node, ...]:
    """Return the nodes of a template. Raises `GoSyntaxError` for what Go would refuse."""
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self._pieces = go_lexer.split(source)
        self._at = 0

    def whole(self) -> tuple[Node, ...]:
        body, stop = self._body()
        if stop is not None:
            raise GoSyntaxError(stop.tag.line, f"{stop.tokens[0].text} belongs to nothing")
        return body

    def _body(self) -> tuple[tuple[Node, ...], RawAction | None]:
        """Return nodes up to an `else` or `end` of somebody else, and that."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if isinstance(piece, RawText):
                nodes.append(Text(piece.text))
            elif isinstance(piece, RawComment):
                nodes.append(Comment(piece.tag, piece.text))
            elif piece.tokens and piece.tokens[0].text in ("else", "end"):
                return tuple(nodes), piece
            else:
                nodes.append(self._node(piece))
        return tuple(nodes), None

    def _node(self, piece: RawAction) -> Node:
        words = _Words(piece)
        keyword = words.keyword()
        if keyword in _BLOCKS:
            return self._block(keyword, piece.tag, words)
        if keyword in ("define", "block"):
            return self._define(keyword, piece.tag, words)
        if keyword == "template":
            name = words.quoted()
            return Include(piece.tag, name, None if words.is_done() else words.pipeline())
        if keyword in ("break", "continue"):
            return Jump(piece.tag, keyword)
        return Action(piece.tag, words.pipeline())

    def _block(self, keyword: str, tag: go_ast.Tag, words: "_Words") -> Block:
        branches: list[Branch] = []
        pipeline: Pipeline | None = words.pipeline(is_range=keyword == "range")
        while True:
            body, stop = self._body()
            if stop is None:
                raise GoSyntaxError(tag.line, f"{keyword} has no end")
            branches.append(Branch(tag, pipeline, body))
            if stop.tokens[0].text == "end":
                return Block(keyword, tuple(branches), stop.tag)
            tag, words = stop.tag, _Words(stop)
            words.keyword()
            pipeline = None
            if not words.is_done():
                if words.keyword() != keyword or keyword == "range":
                    raise GoSyntaxError(tag.line, f"what follows else does not fit to {keyword}")
                pipeline = words.pipeline()

    def _define(self, keyword: str, tag: go_ast.Tag, words: "_Words") -> Define:
        name = words.quoted()
        pipeline = words.pipeline() if keyword == "block" else None
        body, stop = self._body()
        if stop is None or stop.tokens[0].text != "end":
            raise GoSyntaxError(tag.line, f"{keyword} {name!r} has no end")
        return Define(tag, name, body, stop.tag, pipeline)


class _Words:
    """The tokens of one action, from left to right."""

    def __init__(self, piece: RawAction) -> None:
        self._tokens: Sequence[Token] = piece.tokens
        self._line = piece.tag.line
        self._at = 0

    def keyword(self) -> str:
        """Take a keyword; empty when the next word is none."""
        words = ("if", "else", "range", "with", "define", "block", "template", "break", "continue")
        token = self._peek()
        if token is None or token.kind is not Kind.NAME or token.text not in words:
            return ""
        self._at += 1
        return token.text

    def is_done(self) -> bool:
        """Tell whether nothing is left."""
        return self._at >= len(self._tokens)

    def quoted(self) -> str:
        """Take a text in quotes."""
        token = self._take()
        if not isinstance(token.value, str):
            raise self._error(f"a name in quotes belongs where {token.text!r} stands")
        return token.value

    def pipeline(self, *, is_range: bool = False) -> Pipeline:
        """Take all that is left."""
        variables, is_declared = self._declaration(is_range=is_range)
        expression = self._piped()
        if not self.is_done():
            raise self._error(f"{self._tokens[self._at].text!r} was not expected")
        return Pipeline(expression, variables, is_declared)

    def _declaration(self, *, is_range: bool) -> tuple[tuple[str, ...], bool]:
        """Take `$a :=`, `$a =` or, for range, `$a, $b :=`."""
        names: list[str] = []
        at = self._at
        while at + 1 < len(self._tokens) and self._tokens[at].kind is Kind.VARIABLE:
            sign = self._tokens[at + 1].text
            names.append(self._tokens[at].text[1:])
            at += 2
            if sign in (":=", "="):
                self._at = at
                return tuple(names), sign == ":="
            if sign != "," or not is_range:
                break
        return (), True

    def _piped(self) -> Expression:
        expression = self._command(None)
        while (token := self._peek()) is not None and token.text == "|":
            self._at += 1
            expression = self._command(expression)
        return expression

    def _command(self, handed_on: Expression | None) -> Expression:
        first = self._take()
        is_function = first.kind is Kind.NAME and first.text not in _CONSTANTS
        self._at -= 1
        operand = self._operand()
        arguments: list[Expression] = []
        while (token := self._peek()) is not None and token.text not in ("|", ")"):
            arguments.append(self._operand())
        if handed_on is not None:
            arguments.append(handed_on)
        if is_function and isinstance(operand, Call):
            return Call(operand.name, tuple(arguments))
        if arguments:
            raise self._error(f"{first.text} is no function, so it takes no arguments")
        return operand

    def _operand(self) -> Expression:
        expression = self._term()
        while (
            (token := self._peek()) is not None and token.kind is Kind.FIELD and not token.is_apart
        ):
            self._at += 1
            expression = Field(expression, token.text[1:])
        return expression

    def _term(self) -> Expression:
        token = self._take()
        if token.kind is Kind.LITERAL:
            return Literal(token.value)
        if token.kind is Kind.FIELD:
            return Field(Dot(), token.text[1:])
        if token.kind is Kind.DOT:
            return Dot()
        if token.kind is Kind.VARIABLE:
            return Variable(token.text[1:])
        if token.kind is Kind.NAME:
            return Literal(_CONSTANTS[token.text]) if token.text in _CONSTANTS else Call(token.text)
        if token.text == "(":
            expression = self._piped()
            if self._take().text != ")":
                raise self._error("a bracket is not closed")
            return expression
        raise self._error(f"{token.text!r} was not expected")

    def _peek(self) -> Token | None:
        return None if self.is_done() else self._tokens[self._at]

    def _take(self) -> Token:
        token = self._peek()
        if token is None:
            raise self._error("ends too early")
        self._at += 1
        return token

    def _error(self, reason: str) -> GoSyntaxError:
        return GoSyntaxError(self._line, reason)
